"""make update: what it reports of packages and outputs, that it goes on after a broken notebook, and the way back."""

import json
import subprocess
from pathlib import Path

from tests import checkout
from tools import series, update

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

NOTHING: dict[str, str] = {}


def showing(*outputs: NotebookNode) -> NotebookNode:
    notebook: NotebookNode = new_notebook(
        cells=[new_markdown_cell("# A"), new_code_cell("show()", outputs=list(outputs))]
    )
    return notebook


# --- packages ---------------------------------------------------------------------------------------------------------


def test_a_package_that_moved_came_or_went_is_named() -> None:
    before = update.pins("a==1.0\nb==2.0\nc==3.0\n")
    after = update.pins("a==1.0\nb==2.1\nd==4.0\n")
    assert update.moved(before, after) == [("b", "2.0", "2.1"), ("c", "3.0", ""), ("d", "", "4.0")]


def test_a_package_with_a_version_for_each_python_is_told_apart() -> None:
    before = "numpy==2.4.6 ; python_full_version < '3.12'\nnumpy==2.5.5 ; python_full_version >= '3.12'\n"
    found = update.moved(update.pins(before), update.pins(before.replace("2.5.5", "2.6.0")))
    assert found == [('numpy (python_full_version >= "3.12")', "2.5.5", "2.6.0")]


def test_lifting_leaves_the_lower_limits_and_every_word_beside_them() -> None:
    text = """dependencies = [
    "grpcio==1.85.1",  # the family
    "protobuf>=7.36,<8",       # the runtime
    "pillow>=12",              # small pictures
]
version = "0.1.0"
requires = ["hatchling>=1.27"]
"""
    assert update.lift(text) == (
        text.replace("grpcio==1.85.1", "grpcio>=1.85.1").replace("protobuf>=7.36,<8", "protobuf>=7.36")
    )


def test_no_limit_of_this_project_stays_when_lifted() -> None:
    lifted = update.lift(update.PROJECT.read_text(encoding="utf-8"))
    wanted = [requirement for requirement in update.requirements(lifted) if requirement.specifier]
    assert [str(each) for each in wanted if {each.operator for each in each.specifier} != {">="}] == []
    assert len(wanted) == len(update.requirements(update.PROJECT.read_text(encoding="utf-8")))


def test_what_pyproject_holds_back_is_named_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    outdated = [
        {"name": "protobuf", "version": "7.36.2", "latest_version": "8.0.0"},
        {"name": "PyYAML", "version": "6.0.3", "latest_version": "7.0"},
        {"name": "comm", "version": "0.2.3", "latest_version": "0.3.0"},  # another package wants it
    ]

    def listed(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, json.dumps(outdated))

    monkeypatch.setattr(update.subprocess, "run", listed)  # uv would ask the package index
    assert update._held_back() == [("protobuf<8,>=7.36", "7.36.2", "8.0.0"), ("pyyaml<7,>=6", "6.0.3", "7.0")]


# --- outputs ----------------------------------------------------------------------------------------------------------


def test_a_cell_that_shows_something_else_is_named_with_both() -> None:
    before = showing(new_output("stream", name="stdout", text="UNAVAILABLE\n"))
    after = showing(new_output("stream", name="stdout", text="CANCELLED\n"))
    assert update.changes("04_x.ipynb", before, before) == []
    assert update.changes("04_x.ipynb", before, after) == [update.Change("04_x.ipynb", 2, "UNAVAILABLE", "CANCELLED")]


@pytest.mark.parametrize(
    ("output", "other"),
    [
        (new_output("stream", name="stderr", text="E1\n"), new_output("stream", name="stderr", text="E2\n")),
        (new_output("display_data", {"image/svg+xml": "<a/>"}), new_output("display_data", {"image/svg+xml": "<b/>"})),
        (new_output("display_data", {"image/png": "b2xk"}), new_output("display_data", {"image/png": "bmV3"})),
        (new_output("execute_result", {"text/plain": "1"}), new_output("execute_result", {"text/plain": "2"})),
        (
            new_output("error", ename="E", evalue="a", traceback=["E: a"]),
            new_output("error", ename="E", evalue="b", traceback=["E: b"]),
        ),
    ],
    ids=["an error stream", "a drawing", "a picture", "a value", "an error"],
)
def test_whatever_a_cell_shows_is_compared(output: NotebookNode, other: NotebookNode) -> None:
    assert len(update.changes("04_x.ipynb", showing(output), showing(other))) == 1


# --- the report -------------------------------------------------------------------------------------------------------


def test_the_report_says_what_moved_what_changed_what_broke_and_how_to_go_back() -> None:
    text = update.report(
        packages=[("grpcio", "1.85.1", "1.86.0")],
        changes=[update.Change("04_x.ipynb", 7, "same\nUNAVAILABLE", "same\nCANCELLED")],
        broken={"05_y.ipynb": "cell 3 failed:\n\n    ```\n\nNameError: x"},
        held=[("protobuf<8,>=7.36", "7.36.2", "8.0.0")],
    )
    assert "| grpcio | 1.85.1 | 1.86.0 |" in text
    assert "| protobuf<8,>=7.36 | 7.36.2 | 8.0.0 |" in text
    assert "**04_x.ipynb, cell 7**\n\n```diff\n@@ -1,2 +1,2 @@\n same\n-UNAVAILABLE\n+CANCELLED\n```" in text
    assert "**05_y.ipynb**\n\n````\ncell 3 failed:\n\n    ```\n\nNameError: x\n````" in text
    assert "    git restore requirements.txt tools/requirements.txt notebooks && make tools\n" in text


def test_where_nothing_moved_the_report_says_so() -> None:
    assert "Nothing: every package is the newest" in update.report([], [], NOTHING, [])


# --- the whole --------------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the course in git, with two short notebooks."""
    folder = checkout.copy(tmp_path)
    for path in (folder / "notebooks").glob("*.ipynb"):
        path.unlink()
    for number, source in enumerate(["import os\nprint('as before')", "print('as before')"]):
        course = {"part": 1, "minutes": 5, "about": "Read"}
        notebook = new_notebook(
            cells=[new_markdown_cell(f"# {number} · A"), new_code_cell(source)], metadata={"course": course}
        )
        (folder / "notebooks" / f"{number:02}_short.ipynb").write_text(series.dump(notebook), encoding="utf-8")
    assert checkout.run(folder, "tools.refresh").returncode == 0
    author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    for command in (("init", "--quiet"), ("add", "."), (*author, "commit", "--quiet", "--message=All")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def test_a_notebook_that_breaks_is_named_and_the_others_are_run(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sorted((repository / "notebooks").glob("*.ipynb"))
    kept = first.read_text(encoding="utf-8").replace("print('as before')", "print('as before', 1 / 0)")
    first.write_text(kept, encoding="utf-8")
    second.write_text(second.read_text(encoding="utf-8").replace("print('as", "print('not as"), encoding="utf-8")
    pins = repository / "tools" / "requirements.txt"
    pins.write_text(pins.read_text(encoding="utf-8").replace("\nh2==", "\nh2==99."), encoding="utf-8")
    monkeypatch.setenv("UV_OFFLINE", "1")  # no package index is asked

    shown = checkout.run(repository, "tools.update", "--report", "build/report.md")

    assert shown.returncode == 1, shown.stderr
    report = (repository / "build" / "report.md").read_text(encoding="utf-8")
    assert shown.stdout == report + "\n"
    assert "| h2 | " in report
    assert "**00_short.ipynb**\n\n```\ncell 3 failed:" in report
    assert "ZeroDivisionError: division by zero" in report
    assert "**01_short.ipynb, cell 3**\n\n```diff\n@@ -1 +1 @@\n-as before\n+not as before\n```" in report
    assert first.read_text(encoding="utf-8") == kept, "a notebook that breaks stays as it was"
