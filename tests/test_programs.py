"""The two-console program: `python -m teams_lib.server` and `python -m teams_lib.client`."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from teams_lib.server import LOOPBACK

import pytest

SERVER = [sys.executable, "-m", "teams_lib.server"]
CLIENT = [sys.executable, "-m", "teams_lib.client"]


@contextmanager
def running_server() -> Iterator[tuple[subprocess.Popen[str], IO[str], str]]:
    with subprocess.Popen(
        [*SERVER, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        found = re.fullmatch(r"Teams server listens on (127\.0\.0\.1:\d+)\. Ctrl-C stops it\.\n", greeting)
        try:
            assert found, greeting
            yield process, process.stdout, found[1]
        finally:
            process.kill()


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_the_client_prints_a_line_for_each_city_and_the_server_each_calls_metadata() -> None:
    with running_server() as (process, output, address):
        client = run(*CLIENT, "--target", address, "Chicago", "Philadelphia", "Miami")
        assert client.stdout.splitlines() == [
            "Teams client received: Chicago Jackals",
            "Teams client received: Philadelphia Foxes",
            "Teams client received: Miami not a member",
        ]
        assert (client.stderr, client.returncode) == ("", 0)
        for _ in range(3):
            assert re.fullmatch(r"/Teams/GetTeam OK user-agent='grpc-python/.*'\n", output.readline())
        process.terminate()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_the_server_stops_cleanly(stop: signal.Signals) -> None:
    with running_server() as (process, output, _):
        process.send_signal(stop)
        assert output.read() == "Teams server stopped.\n"
        assert process.wait(10) == 0


def test_a_taken_port_is_a_plain_message() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = run(*SERVER, "--port", str(port))
    assert (server.stdout, server.returncode) == ("", 1)
    assert server.stderr == (
        f"Port {port} on 127.0.0.1 is taken: another program, or another notebook's kernel, listens there. "
        "Stop it, or take port 0, which is always free.\n"
    )


def test_a_port_that_cannot_be_is_a_plain_message() -> None:
    server = run(*SERVER, "--port", "70000")
    assert server.returncode == 2
    assert "--port 70000: a port is a number from 0 to 65535" in server.stderr


def test_no_server_is_a_plain_message() -> None:
    with socket.socket() as nobody:
        nobody.bind((LOOPBACK, 0))  # bound, but nobody listens
        target = f"{LOOPBACK}:{nobody.getsockname()[1]}"
        client = run(*CLIENT, "--target", target, "Chicago")
    assert (client.stdout, client.returncode) == ("", 1)
    assert client.stderr == f"No Teams server answers at {target}. Start one: python -m teams_lib.server\n"


@pytest.mark.parametrize("program", [SERVER, CLIENT, [sys.executable, "-m", "teams_lib.codegen"]], ids=lambda p: p[2])
def test_help_says_what_the_program_does(program: list[str]) -> None:
    shown = run(*program, "--help")
    assert shown.stdout.startswith(f"usage: python -m {program[2]} ")
    assert (shown.stderr, shown.returncode) == ("", 0)
