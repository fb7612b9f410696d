"""A JupyterHub for a class on one machine: ``make hub``, or ``jupyterhub -f tools/jupyterhub_config.py``.

Learners open port 8000 of this machine, or ``CLASS_PORT``, log in with a name of their choice and the password of the
class, and get a JupyterLab with a copy of the course of their own. Their files, and what they have solved, are in
``CLASS_FOLDER``.

All of them work as the system user who starts this, so they could read each other's files: it is made for a workshop.
Where that matters, give learners accounts and choose another spawner and authenticator; the copying stays the same.
Source: https://jupyterhub.readthedocs.io/en/stable/reference/spawners.html
"""

import os
import shutil
import socket
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
try:
    folder.mkdir(parents=True, exist_ok=True)
    TemporaryDirectory(dir=folder).cleanup()
except OSError as error:
    sys.exit(
        f"The files of the class cannot be kept in {folder}: {error.strerror}. "
        "Name another folder: CLASS_FOLDER=… make hub"
    )
proxy_pid = folder / "proxy.pid"  # there while a hub runs, and after one that crashed, whose proxy the next one ends
port = int(os.environ.get("CLASS_PORT", "8000"))
# A hub whose proxy cannot listen says that it runs, and a second one in this folder would end the proxy of the first.
for number in (port + 2,) if proxy_pid.exists() else (port, port + 1, port + 2):
    try:
        socket.create_server(("" if number == port else "127.0.0.1", number)).close()
    except OSError:
        sys.exit(
            f"Port {number} is taken, perhaps by a hub that runs already. "
            "Stop that program, or take three other ports, from 9000 on: CLASS_PORT=9000 make hub"
        )


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
c.JupyterHub.bind_url = f"http://:{port}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{port + 1}"
c.JupyterHub.hub_port = port + 2
c.ConfigurableHTTPProxy.pid_file = os.fspath(proxy_pid)
c.ConfigurableHTTPProxy.command = shutil.which("configurable-http-proxy") or os.fspath(PROXY)
