"""What the course needs around it: settings that gRPC reads early, and the check that notebook 00 makes.

Importing this module, or any other of teams_lib, does not import grpc: the check has to work where grpc does not.
"""

import importlib
import importlib.metadata
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement


def _quoted(program: str, windows: bool = os.name == "nt") -> str:
    """The path of a program as a terminal takes it: with spaces, in quotes, and for PowerShell behind an ampersand."""
    if " " not in program:
        return program
    return f'& "{program}"' if windows else f'"{program}"'


# With the kernel's own Python: that another one was installed into is the commonest mistake.
INSTALL: Final = f"{_quoted(sys.executable)} -m pip install -r requirements.txt"
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
RESTART: Final = "then restart the kernel (menu Kernel, Restart Kernel)"


def prepare() -> None:
    """Keep gRPC quiet and loopback direct, whatever the machine's settings are.

    The C core logs to the process's stderr, with times and process ids, also what reaches the program as an exception
    anyway; in a notebook those lines would land in the output of whichever cell runs. And it sends even calls to
    127.0.0.1 through ``http_proxy`` if that is set (notebook 04 shows both the trap and the way out).

    Variables that the reader has set are kept: ``GRPC_VERBOSITY=DEBUG jupyter lab`` still logs.

    Source: https://github.com/grpc/grpc/blob/master/doc/environment_variables.md
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # no_grpc_proxy hides no_proxy from gRPC, so it starts from what was there.
    direct = os.environ.get("no_grpc_proxy", os.environ.get("no_proxy", ""))
    hosts = [host for host in direct.split(",") if host]
    os.environ["no_grpc_proxy"] = ",".join(hosts + [host for host in LOOPBACK if host not in hosts])


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    """What holds if all is well, such as "Python is 3.11 or newer"."""

    problem: str = ""
    """What is wrong instead; empty if nothing is."""

    way_out: str = ""
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the check of an environment found; its representation is for reading."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not any(finding.problem for finding in self.findings)

    def __repr__(self) -> str:
        lines = []
        for finding in self.findings:
            if not finding.problem:
                lines.append(f"ok     {finding.what}")
            else:
                lines += [f"wrong  {finding.problem}", f"       {finding.way_out}"]
        lines.append("All is well." if self.ok else "Mend the first thing that is wrong, and run this cell again.")
        return "\n".join(lines)


def check(folder: Path | None = None) -> Report:
    """Look at everything that the notebooks rely on.

    Args:
        folder: where the notebooks are; the kernel's folder if not given.

    Returns:
        The findings; each that is wrong says how to mend it. Nothing is raised, whatever is broken.

    Example:
        >>> check().ok
        True
    """
    looks: list[Callable[[], Finding]] = [_python, _packages, lambda: _same_copy(folder or Path.cwd()), _code, _call]
    return Report(tuple(look() for look in looks))


def _python() -> Finding:
    what = "Python is 3.11 or newer"
    if sys.version_info >= (3, 11):  # noqa: UP036 (installed by force, or put on the path)
        return Finding(what)
    return Finding(
        what,
        f"This kernel runs Python {sys.version_info[0]}.{sys.version_info[1]}; the course needs 3.11 or newer.",
        "Install a newer Python, remove the folder .venv, and install the course again, as its README.md says.",
    )


def _packages() -> Finding:
    what = "the packages are installed, in versions that fit together"
    problems = list(_misfits())
    if not problems:
        return Finding(what)
    return Finding(what, "; ".join(problems) + ".", f"In the course's folder, run: {INSTALL}  and {RESTART}.")


def _misfits() -> Iterator[str]:
    try:
        wanted = [Requirement(line) for line in importlib.metadata.requires("teams-lib") or []]
    except importlib.metadata.PackageNotFoundError:
        yield "the course itself (teams-lib) is not installed in this kernel's environment"
        return
    for requirement in wanted:
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield f"{requirement.name} is not installed"
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            yield f"{requirement.name} is {version}, and the course needs {requirement.specifier}"


def _same_copy(folder: Path) -> Finding:
    what = "teams_lib is the one beside these notebooks"
    here, used = folder.parent / "teams_lib", Path(__file__).parent
    if not here.is_dir() or here.resolve() == used.resolve():
        return Finding(what)
    return Finding(
        what,
        f"This kernel uses teams_lib from {used}, not the one beside these notebooks.",
        f"Another copy of the course is installed. In this copy's folder, run: {INSTALL}  and {RESTART}.",
    )


def _code() -> Finding:
    what = "the generated code loads"
    try:
        importlib.import_module("teams_lib.teams_pb2_grpc")
    except Exception as error:  # a broken installation raises whatever it likes
        return Finding(
            what, f"{type(error).__name__}: {error}", f"In the course's folder, run: {INSTALL}  and {RESTART}."
        )
    return Finding(what)


def _call() -> Finding:
    what = "a client reaches a server on this machine"
    try:
        from teams_lib import BackgroundServer, TeamsServicer, teams_pb2, teams_pb2_grpc

        import grpc

        with BackgroundServer(TeamsServicer()) as server, grpc.insecure_channel(server.address) as channel:
            teams_pb2_grpc.TeamsStub(channel).GetTeam(teams_pb2.TeamRequest(city="Boston"), timeout=5)
    except Exception as error:  # whatever it is, it is the finding
        reason = error.details() if hasattr(error, "details") else error
        return Finding(
            what,
            f"A call over 127.0.0.1 fails: {reason}",
            "Mend what is wrong above first. If only this is left, a firewall may block local connections.",
        )
    return Finding(what)
