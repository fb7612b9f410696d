"""What importing teams_lib sets up before gRPC reads it, each time in a fresh process."""

import os
import subprocess
import sys

import pytest

GET_TEAM = """
from teams_lib import BackgroundServer, TeamsServicer, teams_pb2, teams_pb2_grpc
import grpc
with BackgroundServer(TeamsServicer()) as server, grpc.insecure_channel(server.address) as channel:
    print(teams_pb2_grpc.TeamsStub(channel).GetTeam(teams_pb2.TeamRequest(city="Boston"), timeout=5).nickname)
"""
BIND_TWICE = """
import teams_lib, grpc
from concurrent import futures
one, two = (grpc.server(futures.ThreadPoolExecutor(), options=[("grpc.so_reuseport", 0)]) for _ in range(2))
port = one.add_insecure_port("127.0.0.1:0")
try:
    two.add_insecure_port(f"127.0.0.1:{port}")
except RuntimeError:
    print("refused")
"""
UNSET = ["http_proxy", "https_proxy", "no_proxy", "no_grpc_proxy", "GRPC_VERBOSITY"]


def run(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key not in UNSET}
    return subprocess.run(
        [sys.executable, "-c", program], env=inherited | variables, capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize("proxy", [{}, {"http_proxy": "http://127.0.0.1:9"}, {"grpc_proxy": "http://127.0.0.1:9"}])
def test_loopback_is_reached_whatever_proxy_is_set(proxy: dict[str, str]) -> None:
    shown = run(GET_TEAM, **proxy)
    assert (shown.stdout, shown.stderr) == ("Revolutionaries\n", "")


def test_hosts_that_the_reader_reaches_directly_stay_direct() -> None:
    program = "import os, teams_lib; print(os.environ['no_grpc_proxy'])"
    assert run(program).stdout == "127.0.0.1,localhost\n"
    assert run(program, no_proxy="intranet,localhost").stdout == "intranet,localhost,127.0.0.1\n"
    assert run(program, no_proxy="ignored", no_grpc_proxy="mine").stdout == "mine,127.0.0.1,localhost\n"


def test_the_c_core_logs_nothing_that_reaches_python_as_an_exception_anyway() -> None:
    shown = run(BIND_TWICE)
    assert (shown.stdout, shown.stderr) == ("refused\n", "")


def test_the_c_core_logs_when_the_reader_asks_for_it() -> None:
    shown = run(BIND_TWICE, GRPC_VERBOSITY="ERROR")
    assert shown.stdout == "refused\n"
    assert "Address already in use" in shown.stderr


def test_importing_the_package_alone_does_not_import_grpc() -> None:
    assert run("import sys, teams_lib; print('grpc' in sys.modules)").stdout == "False\n"


def test_a_name_that_teams_lib_does_not_have_is_an_attribute_error() -> None:
    assert "module 'teams_lib' has no attribute 'Nothing'" in run("import teams_lib; teams_lib.Nothing").stderr
