"""Every test run is a bad day: what goes wrong on learners' machines goes wrong here first.

A dead proxy is configured, the course's usual port is taken, and no progress is on record. The kernels of the
notebooks inherit all of it.
"""

import itertools
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

DEAD_PROXY = "http://127.0.0.1:9"
PROGRESS = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Set the scene, in this process and in each worker of pytest-xdist, until the end of the session."""
    stack = ExitStack()
    config.add_cleanup(stack.close)
    environment = pytest.MonkeyPatch()
    stack.callback(environment.undo)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        environment.setenv(name, DEAD_PROXY)
    # A machine that writes no .pyc files would hide a module that Python takes for unchanged.
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy", "PYTHONDONTWRITEBYTECODE"):
        environment.delenv(name, raising=False)
    # Files and programs whose encoding is left to the system are misread on Windows: pyproject makes that an error in
    # our code, in the workers of pytest-xdist, which start with these. Other programs, kernels too, say nothing.
    environment.setenv("PYTHONWARNDEFAULTENCODING", "1")
    environment.setenv("PYTHONWARNINGS", "ignore::EncodingWarning")
    if sys.platform != "win32":  # which has no sockets that are files
        stack.enter_context(_kernels_without_ports(environment))
    progress = stack.enter_context(TemporaryDirectory(prefix="teams-progress-", ignore_cleanup_errors=True))
    environment.setenv("TEAMS_PROGRESS_DIR", progress)
    config.stash[PROGRESS] = Path(progress)
    listener = stack.enter_context(socket.socket())
    with suppress(OSError):  # taken already, by another worker or program: as good
        listener.bind(("127.0.0.1", 50051))
        listener.listen()


@contextmanager
def _kernels_without_ports(environment: pytest.MonkeyPatch) -> Iterator[None]:
    """Speak to kernels through files.

    Else jupyter_client chooses ports for a kernel, a second or more before it listens there. If a server of another
    test gets one meanwhile, ZeroMQ hears HTTP/2 and gives that connection up, and the test waits for ever.
    """
    genuine, numbers = KernelManager.__init__, itertools.count()
    with TemporaryDirectory(prefix="kernels-") as folder:

        def init(self: KernelManager, *arguments: Any, **options: Any) -> None:
            genuine(self, *arguments, **{"transport": "ipc", "ip": f"{folder}/{next(numbers)}"} | options)

        environment.setattr(KernelManager, "__init__", init)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start what is marked as long first: at the end, one worker would run it, and the others wait."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give each file its own progress folder, before its kernel starts: a notebook must not see another's progress."""
    folder = item.config.stash[PROGRESS] / item.path.stem
    folder.mkdir(exist_ok=True)
    os.environ["TEAMS_PROGRESS_DIR"] = str(folder)
