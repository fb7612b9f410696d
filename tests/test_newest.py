""".ci/newest: an issue for what the newest releases change, one at a time, and none where they change nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools import update

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci" / "newest"
MOVED = [("filelock", "3", "4")]
QUIET = update.report(MOVED, [], {}, [])
CHANGED = update.report(MOVED, [update.Change("04_x.ipynb", 7, "UNAVAILABLE", "CANCELLED")], {}, [])
BROKEN = update.report(MOVED, [], {"05_y.ipynb": "cell 3 failed"}, [])

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the script is for the Linux machine of the workflow")


class Machine:
    """The script's machine, with a make, a gh and a .ci/run that do as they are told."""

    def __init__(self, folder: Path, report: str, make: int = 0, suite: int = 0, issue: str = "") -> None:
        self.folder = folder
        (folder / ".ci").mkdir()
        shutil.copy(SCRIPT, folder / ".ci" / "newest")
        (folder / "told").write_text(report, encoding="utf-8")
        self.program(".ci/run", f"exit {suite}")
        self.program("bin/make", f'cp told "${{2#REPORT=}}"\nexit {make}')
        self.program(
            "bin/gh",
            f'[ "$2" = list ] && {{ echo "$@" > searched; echo "{issue}"; exit; }}\n'
            'echo "$@" > asked\nfor file; do :; done\ncp "$file" body',
        )
        variables = os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
        variables["GITHUB_STEP_SUMMARY"] = os.fspath(folder / "summary")
        self.status = subprocess.run([folder / ".ci" / "newest"], env=variables, timeout=30, check=False).returncode

    def program(self, name: str, body: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)

    def said(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else ""


def test_where_no_output_changes_the_summary_tells_and_no_issue_is_opened(tmp_path: Path) -> None:
    machine = Machine(tmp_path, QUIET)
    assert (machine.status, machine.said("asked"), machine.said("summary")) == (0, "", QUIET)


@pytest.mark.parametrize("report", [CHANGED, BROKEN], ids=["a changed output", "a broken notebook"])
def test_what_changes_the_course_opens_an_issue(tmp_path: Path, report: str) -> None:
    machine = Machine(tmp_path, report)
    assert machine.status == 0
    assert machine.said("asked") == (
        "issue create --title The newest releases change the course --body-file build/newest.md\n"
    )
    assert machine.said("body") == machine.said("summary") == report


def test_an_issue_that_is_open_is_updated(tmp_path: Path) -> None:
    machine = Machine(tmp_path, CHANGED, issue="17")
    assert "--state open --search in:title" in machine.said("searched")
    assert (machine.status, machine.said("asked")) == (0, "issue edit 17 --body-file build/newest.md\n")


@pytest.mark.parametrize(("make", "suite", "named"), [(1, 0, "`make newest`"), (0, 1, "`.ci/run`")])
def test_a_failure_opens_an_issue_and_fails_the_job(tmp_path: Path, make: int, suite: int, named: str) -> None:
    machine = Machine(tmp_path, QUIET, make=make, suite=suite)
    assert machine.status == 1
    assert "issue create" in machine.said("asked")
    assert f"These commands failed, and their log says why: {named}" in machine.said("body")
