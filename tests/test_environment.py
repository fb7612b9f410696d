"""What importing teams_lib sets up before gRPC reads it, each time in a fresh process; and the check of notebook 00."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

from teams_lib import environment, server, servicer

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
UNSET = ["http_proxy", "https_proxy", "no_proxy", "no_grpc_proxy", "grpc_verbosity"]  # on Windows in upper case


def run(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key.lower() not in UNSET}
    return subprocess.run(
        [sys.executable, "-c", program], env=inherited | variables, capture_output=True, encoding="utf-8", timeout=30
    )


@pytest.mark.parametrize("proxy", [{}, {"http_proxy": "http://127.0.0.1:9"}, {"grpc_proxy": "http://127.0.0.1:9"}])
def test_loopback_is_reached_whatever_proxy_is_set(proxy: dict[str, str]) -> None:
    shown = run(GET_TEAM, **proxy)
    assert (shown.stdout, shown.stderr) == ("Revolutionaries\n", "")


def test_hosts_that_the_reader_reaches_directly_stay_direct() -> None:
    program = "import os, teams_lib; print(os.environ['no_grpc_proxy'])"
    assert run(program).stdout == "127.0.0.1,::1,localhost\n"
    assert run(program, no_proxy="intranet,localhost").stdout == "intranet,localhost,127.0.0.1,::1\n"
    assert run(program, no_proxy="ignored", no_grpc_proxy="mine").stdout == "mine,127.0.0.1,::1,localhost\n"


def test_the_c_core_logs_nothing_that_reaches_python_as_an_exception_anyway() -> None:
    shown = run(BIND_TWICE)
    assert (shown.stdout, shown.stderr) == ("refused\n", "")


def test_the_c_core_logs_when_the_reader_asks_for_it() -> None:
    shown = run(BIND_TWICE, GRPC_VERBOSITY="ERROR")
    assert shown.stdout == "refused\n"
    assert "Failed to add port to server" in shown.stderr  # and then the words of the system


def test_importing_the_package_alone_does_not_import_grpc() -> None:
    assert run("import sys, teams_lib; print('grpc' in sys.modules)").stdout == "False\n"


def test_a_python_without_the_course_is_told_so() -> None:
    bare = [sys.executable, "-S", "-c", "import teams_lib"]  # without site-packages
    shown = subprocess.run(bare, cwd=Path(__file__).parent.parent, capture_output=True, encoding="utf-8", timeout=30)
    assert shown.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: No module named 'packaging': {sys.executable} does not have the course installed. "
        "Use the Python of its environment, or install it, as README.md says."
    )


def test_a_name_that_teams_lib_does_not_have_is_an_attribute_error() -> None:
    stderr = run("import teams_lib; teams_lib.Nothing").stderr
    assert stderr.endswith("AttributeError: module 'teams_lib' has no attribute 'Nothing'\n")


INSTALL = environment.INSTALL


class TestTheCheck:
    """What notebook 00 shows, here and in broken environments."""

    def test_where_the_tests_run_all_is_well(self) -> None:
        report = environment.check()
        assert report.ok, report
        assert repr(report) == (
            "ok     Python is 3.11 or newer\n"
            "ok     the packages are installed, in versions that fit together\n"
            "ok     teams_lib is the one beside these notebooks\n"
            "ok     the generated code loads\n"
            "ok     a client reaches a server on this machine\n"
            "All is well."
        )

    @pytest.mark.parametrize(
        ("python", "windows", "typed"),
        [
            ("/course/.venv/bin/python", False, "/course/.venv/bin/python"),
            ("/my course/.venv/bin/python", False, '"/my course/.venv/bin/python"'),
            (r"D:\course\.venv\Scripts\python.exe", True, r"D:\course\.venv\Scripts\python.exe"),
            (r"D:\my course\.venv\Scripts\python.exe", True, r'& "D:\my course\.venv\Scripts\python.exe"'),
        ],
    )
    def test_the_way_out_can_be_typed_into_a_terminal(self, python: str, windows: bool, typed: str) -> None:
        assert environment._quoted(python, windows) == typed

    def test_an_old_python_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(environment.sys, "version_info", (3, 9, 1))
        assert wrong() == [
            "This kernel runs Python 3.9; the course needs 3.11 or newer.",
            "Install a newer Python, remove the folder .venv, and install the course again, as its README.md says.",
        ]

    def test_packages_that_are_missing_or_of_another_version_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = importlib.metadata.version

        def version(name: str) -> str:
            if name == "protobuf":
                raise importlib.metadata.PackageNotFoundError(name)
            return "1.62.0" if name == "grpcio" else real(name)

        monkeypatch.setattr(importlib.metadata, "version", version)
        assert wrong() == [
            "grpcio is 1.62.0, and the course needs ==1.85.1; protobuf is not installed.",
            f"In the course's folder, run: {INSTALL}  and then restart the kernel (menu Kernel, Restart Kernel).",
        ]
        assert repr(environment.check()).endswith("\nMend the first thing that is wrong, and run this cell again.")

    def test_a_kernel_without_the_course_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def requires(name: str) -> list[str]:
            raise importlib.metadata.PackageNotFoundError(name)

        monkeypatch.setattr(importlib.metadata, "requires", requires)
        assert wrong()[0] == "the course itself (teams-lib) is not installed in this kernel's environment."

    def test_another_copy_of_the_course_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "teams_lib").mkdir()
        used = Path(environment.__file__).parent
        assert wrong(tmp_path / "notebooks") == [
            f"This kernel uses teams_lib from {used}, not the one beside these notebooks.",
            f"Another copy of the course is installed. In this copy's folder, run: {INSTALL}  "
            "and then restart the kernel (menu Kernel, Restart Kernel).",
        ]

    def test_generated_code_that_refuses_to_load_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(name: str) -> None:
            raise RuntimeError("The grpc package installed is at version 1.62.0")

        monkeypatch.setattr(environment.importlib, "import_module", refuse)
        assert wrong() == [
            "RuntimeError: The grpc package installed is at version 1.62.0",
            f"In the course's folder, run: {INSTALL}  and then restart the kernel (menu Kernel, Restart Kernel).",
        ]

    def test_a_server_that_cannot_start_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "LOOPBACK", "203.0.113.1")  # an address that no machine has
        assert wrong() == [
            "A call over 127.0.0.1 fails: Cannot listen on 203.0.113.1: is that an address of this machine?",
            "Mend what is wrong above first. If only this is left, a firewall may block local connections.",
        ]

    def test_a_call_that_fails_is_named_by_its_details(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*args: object) -> None:
            raise server.ServerError("a bug")

        monkeypatch.setattr(servicer.TeamsServicer, "GetTeam", refuse)
        assert wrong()[0] == "A call over 127.0.0.1 fails: Exception calling application: a bug"


def wrong(folder: Path | None = None) -> list[str]:
    """The first thing that the check finds to be wrong: the problem and the way out, as it prints them."""
    shown = repr(environment.check(folder)).splitlines()
    first = next(index for index, line in enumerate(shown) if line.startswith("wrong  "))
    assert shown[first + 1].startswith("       ")
    return [shown[first][7:], shown[first + 1][7:]]
