"""The two-console program: `python -m teams_lib.server` and `python -m teams_lib.client`."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from teams_lib.server import LOOPBACK

import pytest

SERVER = [sys.executable, "-m", "teams_lib.server"]
CLIENT = [sys.executable, "-m", "teams_lib.client"]


@contextmanager
def running_server(host: str = LOOPBACK) -> Iterator[tuple[subprocess.Popen[str], IO[str], str]]:
    command = [*SERVER, "--port", "0", "--host", host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8") as process:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        found = re.fullmatch(r"Teams server listens on (\S+:\d+)\. Ctrl-C stops it\.\n", greeting)
        try:
            assert found, greeting
            yield process, process.stdout, found[1]
        finally:
            process.kill()


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=30)


def test_the_client_prints_a_line_for_each_city_and_the_server_each_calls_metadata() -> None:
    with running_server() as (process, output, address):
        client = run(*CLIENT, "--target", address, "Chicago", "Philadelphia", "Miami")
        assert client.stdout.splitlines() == [
            "Teams client received: Chicago Jackals",
            "Teams client received: Philadelphia Foxes",
            "Teams client received: Miami not a member",
        ]
        readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
        assert re.findall(r"^ {4}(Teams client .*)", readme, re.MULTILINE) == client.stdout.splitlines()
        assert (client.stderr, client.returncode) == ("", 0)
        for _ in range(3):
            assert re.fullmatch(r"/Teams/GetTeam OK user-agent='grpc-python/.*'\n", output.readline())
        process.terminate()


def test_the_server_listens_where_it_is_told_to() -> None:
    with running_server() as (_, _, address):
        assert address.startswith(f"{LOOPBACK}:")


def test_an_ipv6_address_stands_in_brackets() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with running_server("::1") as (_, _, address):
        assert address.startswith("[::1]:")
        assert run(*CLIENT, "--target", address, "Boston").stdout == "Teams client received: Boston Revolutionaries\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a program at once, and Ctrl-C takes a console")
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
        "Such as: python -m teams_lib.server --port 0\n"
    )


def test_a_second_server_on_the_port_of_the_first_is_refused() -> None:
    with running_server() as (_, _, address):
        second = run(*SERVER, "--port", address.rpartition(":")[2])
    assert second.returncode == 1
    assert "is taken" in second.stderr


def test_a_host_that_is_not_this_machine_is_a_plain_message() -> None:
    server = run(*SERVER, "--port", "0", "--host", "203.0.113.1")  # an address that no machine has
    assert (server.stdout, server.returncode) == ("", 1)
    assert server.stderr == "Cannot listen on 203.0.113.1: is that an address of this machine?\n"


def test_a_port_that_cannot_be_is_a_plain_message() -> None:
    server = run(*SERVER, "--port", "70000")
    assert server.returncode == 2
    assert server.stderr.endswith("error: --port 70000: a port is a number from 0 to 65535\n")


def test_no_server_is_a_plain_message() -> None:
    with socket.socket() as nobody:
        nobody.bind((LOOPBACK, 0))  # bound, but nobody listens
        target = f"{LOOPBACK}:{nobody.getsockname()[1]}"
        client = run(*CLIENT, "--target", target, "Chicago")
    assert (client.stdout, client.returncode) == ("", 1)
    assert client.stderr == (
        f"No Teams server answers at {target}. Start one: python -m teams_lib.server\n"
        "If it listens elsewhere, say where: --target 127.0.0.1:PORT\n"
    )


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (
            SERVER,
            [
                "usage: python -m teams_lib.server [-h] [--port PORT] [--host HOST]",
                "Serve the Teams service until Ctrl-C, and print each call's method, status and metadata.",
                "where to listen; 0 takes a free port (default: 50051)",
                "the address to listen on; 0.0.0.0 for all (default: 127.0.0.1)",
            ],
        ),
        (
            CLIENT,
            [
                "usage: python -m teams_lib.client [-h] [--target TARGET] [--timeout TIMEOUT] CITY [CITY ...]",
                "Ask a running Teams server which team plays for each city.",
                "the name of a city, such as Chicago or 'New York'",
                "the server's host:port (default: 127.0.0.1:50051)",
                "seconds for each call (default: 5.0)",
            ],
        ),
        (
            [sys.executable, "-m", "teams_lib.codegen"],
            ["usage: python -m teams_lib.codegen [-h]", "Regenerate the course's own modules."],
        ),
    ],
    ids=["server", "client", "codegen"],
)
def test_help_says_what_the_program_does(program: list[str], says: list[str]) -> None:
    shown = run(*program, "--help")
    flowing = " ".join(shown.stdout.split())
    assert [line for line in says if f"{line} " not in f"{flowing} "] == []
    assert (shown.stderr, shown.returncode) == ("", 0)


def test_a_call_that_fails_otherwise_says_how() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = run(*CLIENT, "--target", f"127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.3", "Chicago")
    assert (client.stdout, client.returncode) == ("", 1)
    assert client.stderr == "The call failed: DEADLINE_EXCEEDED: Deadline Exceeded\n"
