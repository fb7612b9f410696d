"""``make offline`` fails if anything asks for what is outside this machine, and says who asked for what."""

import os
import subprocess
import sys
from pathlib import Path

from tests.needs import missing, need_module

import pytest

ROOT = Path(__file__).parent.parent
OFFLINE = [sys.executable, "-m", "tools.offline"]


def offline(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [*OFFLINE, *command], cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", timeout=60
    )


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    if sys.platform != "linux":
        pytest.skip("network namespaces are Linux's")
    need_module("pyroute2")
    if (tried := offline("true")).returncode:
        missing(tried.stderr)


def test_a_command_that_asks_for_nothing_ends_as_it_would_anywhere() -> None:
    talk = "import socket; server = socket.create_server(('localhost', 0)); "
    talk += "socket.create_connection(server.getsockname()); print('talked'); raise SystemExit(7)"
    run = offline(sys.executable, "-c", talk)
    assert (run.stdout, run.returncode) == ("talked\n", 7)
    assert "Nothing outside this machine was asked for." in run.stderr


ASK = """
import contextlib, socket
for host in ("198.51.100.7", "2001:db8:1::7", "teams.example"):
    with contextlib.suppress(OSError):
        socket.create_connection((host, 443), timeout=0.2)
"""


def test_addresses_and_names_that_are_asked_for_are_named_and_fail_the_run() -> None:
    run = offline(sys.executable, "-c", ASK)
    assert run.returncode == 1
    listed = run.stderr.partition("It asked for what is outside this machine:")[2]
    for what in (
        "TCP 198.51.100.7:443",
        "TCP [2001:db8:1::7]:443",
        "UDP 192.0.2.53:53, the address of 'teams.example'",
    ):
        assert f"{what}, by {sys.executable} -c" in listed


def test_the_test_whose_program_asked_is_named(tmp_path: Path) -> None:
    need_module("setproctitle")
    test = f"import subprocess, sys\ndef test_that_asks():\n    subprocess.run([sys.executable, '-c', {ASK!r}])\n"
    (tmp_path / "test_it.py").write_text(test, encoding="utf-8")
    run = offline(sys.executable, "-m", "pytest", "-n", "1", "--rootdir", os.fspath(tmp_path), os.fspath(tmp_path))
    assert "1 passed" in run.stdout
    assert run.returncode == 1
    assert " in test_it.py::test_that_asks" in run.stderr


def test_where_namespaces_are_refused_the_way_out_is_named(tmp_path: Path) -> None:
    unshare = tmp_path / "unshare"
    unshare.write_text("#!/bin/sh\necho 'unshare: Operation not permitted' >&2; exit 1\n", encoding="utf-8")
    unshare.chmod(0o755)
    run = offline("echo", "ran", PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert (run.stdout, run.returncode) == ("", 1)
    assert "unshare: Operation not permitted" in run.stderr
    assert "The way out:" in run.stderr
