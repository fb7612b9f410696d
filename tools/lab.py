"""JupyterLab on a copy of the course, as learners start it: for tests and measurements.

Everything that a learner's own set-up could change (settings, workspaces, kernels, progress) lives in the copy's home.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tools import series

SECONDS_TO_START: Final = 60
COURSE: Final = ("notebooks", "teams_lib", "protobufs", "pyproject.toml", "README.md")


class LabError(RuntimeError):
    """JupyterLab did not start; the message holds its log."""


def copy_course(folder: Path) -> Path:
    """Copy what learners use of this checkout into a folder, which must not exist, and return the folder."""
    for name in COURSE:
        source, target = series.ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
        else:
            shutil.copy(source, target)
    return folder


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(root: Path, home: Path) -> dict[str, str]:
    """Return the environment of a learner who has never used Jupyter, with the course at ``root``."""
    return {
        **os.environ,
        "PYTHONPATH": os.fspath(root),  # the copy's teams_lib, not the one that pip installed
        "TEAMS_PROGRESS_DIR": os.fspath(home / "progress"),
        "IPYTHONDIR": os.fspath(home / "ipython"),
        "JUPYTER_CONFIG_DIR": os.fspath(home / "config"),
        "JUPYTER_DATA_DIR": os.fspath(home / "data"),
        "JUPYTER_RUNTIME_DIR": os.fspath(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": os.fspath(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": os.fspath(home / "workspaces"),
    }


@contextmanager
def running(root: Path, home: Path, settings: Mapping[str, Mapping[str, object]] | None = None) -> Iterator[str]:
    """Run ``jupyter lab`` until the block ends.

    Args:
        root: the folder that it serves, made by ``copy_course``.
        home: an empty folder for everything that it keeps; it ends up with ``lab.log``.
        settings: by the name of a plugin without its scope, such as ``apputils-extension/themes``.

    Yields:
        its address, such as ``http://127.0.0.1:41234``; no token is asked for. ``window.jupyterapp`` is exposed.

    Raises:
        LabError: it ended, or did not answer within 60 seconds.
    """
    for plugin, values in (settings or {}).items():
        file = home / "settings" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}"]
    command += ["--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True", "--LabApp.news_url="]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    variables = environment(root, home)
    log = home / "lab.log"
    with log.open("w", encoding="utf-8") as output, TemporaryDirectory(prefix="lab-") as runtime:
        if sys.platform == "linux":  # where the path of such a file is short enough
            # A gRPC server of another kernel could get a port that Jupyter has chosen for a kernel that starts.
            command.append("--KernelManager.transport=ipc")
            variables["JUPYTER_RUNTIME_DIR"] = runtime
        lab = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=variables)
        try:
            _wait_until_it_answers(lab, address, log)
            yield address
        finally:
            lab.terminate()  # which ends its kernels, too
            try:
                lab.wait(20)
            except subprocess.TimeoutExpired:
                lab.kill()
                lab.wait()


def _wait_until_it_answers(lab: subprocess.Popen[bytes], address: str, log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business with 127.0.0.1
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and lab.poll() is None:
        try:
            opener.open(f"{address}/api/status", timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise LabError(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")
