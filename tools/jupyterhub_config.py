"""A JupyterHub for a class on one machine: ``make hub``, or ``jupyterhub -f tools/jupyterhub_config.py``.

Learners open port 8000 of this machine, log in with a name of their choice and the password of the class, and get a
JupyterLab with a copy of the course of their own. Their files, and what they have solved, are in ``CLASS_FOLDER``.

All of them work as the system user who starts this, so they could read each other's files: it is made for a workshop.
Where that matters, give learners accounts and choose another spawner and authenticator; the copying stays the same.
Source: https://jupyterhub.readthedocs.io/en/stable/reference/spawners.html
"""

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tools import lab, series

COURSE = "grpc-course"
PROXY = series.ROOT / ".venv" / "hub" / "node_modules" / ".bin" / "configurable-http-proxy"

if len(os.environ.get("CLASS_PASSWORD", "")) < 8:
    sys.exit("Set CLASS_PASSWORD to what learners log in with, of 8 characters or more: CLASS_PASSWORD=… make hub")
folder = Path(os.environ.get("CLASS_FOLDER", "~/grpc-class")).expanduser().resolve()
folder.mkdir(parents=True, exist_ok=True)


def hand_out(spawner: Any) -> None:
    """Give a learner who has no copy of the course one, whole or not at all. What they have changed stays."""
    home = Path(spawner.home_dir)
    home.mkdir(parents=True, exist_ok=True)
    if not (home / COURSE).exists():
        with TemporaryDirectory(dir=home) as scratch:
            lab.copy_course(Path(scratch) / COURSE).rename(home / COURSE)
    spawner.environment["PYTHONPATH"] = os.fspath(home / COURSE)  # the copy's teams_lib


c = get_config()  # type: ignore[name-defined]  # noqa: F821  # JupyterHub puts it here
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ["CLASS_PASSWORD"]
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = os.fspath(folder / "homes" / "{username}")
c.Spawner.pre_spawn_hook = hand_out
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
c.Spawner.default_url = f"/lab/tree/{COURSE}/notebooks/00_start_here.ipynb"
c.JupyterHub.db_url = f"sqlite:///{folder / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = os.fspath(folder / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = os.fspath(folder / "proxy.pid")
c.ConfigurableHTTPProxy.command = shutil.which("configurable-http-proxy") or os.fspath(PROXY)
