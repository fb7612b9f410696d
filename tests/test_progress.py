"""Progress: what is solved stays solved, and nothing about its file stops a learner."""

import json
import subprocess
import sys
from pathlib import Path

import teams_lib.exercises as package
from teams_lib.exercises import _registry, _store, check, progress, reset_progress

import filelock
import pytest

MODULE = '''
"""Samples."""

from teams_lib.exercises import exercise

for number in (1, 2):
    exercise(f"92.{number}", title=f"Title {number}", stub="x = ...", solution="x = 1", why="w", hints=("h",))(
        lambda answer: None
    )
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nb92.py").write_text(MODULE.lstrip(), encoding="utf-8")
    monkeypatch.setattr(package, "__path__", [str(tmp_path)])
    monkeypatch.setattr(_registry, "_known", {})
    monkeypatch.setattr(_store, "_unsaved", set())
    monkeypatch.setenv("TEAMS_PROGRESS_DIR", str(tmp_path / "progress"))
    monkeypatch.delitem(sys.modules, "teams_lib.exercises.nb92", raising=False)
    return tmp_path / "progress"


def saved(folder: Path) -> list[str]:
    ids: list[str] = json.loads((folder / "progress.json").read_text(encoding="utf-8"))["solved"]
    return ids


def test_it_marks_every_exercise_of_each_notebook() -> None:
    check("92.1", 1)
    assert repr(progress()) == "1 of 2 exercises solved\n\n92 · Samples  ●○"
    assert "92 · Samples  ●○" in progress()._repr_html_()


def test_it_is_empty_before_the_first_solved_exercise() -> None:
    assert progress().head == "0 of 2 exercises solved"


def test_an_unattempted_exercise_is_not_recorded(folder: Path) -> None:
    check("92.1", ...)
    assert not folder.exists()


def test_a_solved_exercise_is_saved_and_survives_an_unattempted_check(folder: Path) -> None:
    check("92.1", 1)
    check("92.1", ...)
    assert saved(folder) == ["92.1"]


def test_reset_forgets_everything() -> None:
    check("92.1", 1)
    assert repr(reset_progress()) == "Every exercise is unsolved again."
    assert progress().head == "0 of 2 exercises solved"


def test_without_the_variable_it_is_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEAMS_PROGRESS_DIR")
    assert _store.folder().name == "teams-course"


def test_two_processes_can_solve_at_once(folder: Path) -> None:
    program = (
        "import sys\n"
        "from teams_lib.exercises import _store\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for n in range(20): _store.record(f'{sys.argv[1]}.{n}')\n"
        "while _store._unsaved: _store.solved()\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        for name in ("01", "02")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=30)
    assert len(saved(folder)) == 40


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\xff\xfe", b'{"solved": [1]}', b"[]", b"[" * 100_000], ids=lambda damage: repr(damage[:9])
)
def test_a_damaged_file_is_set_aside_and_said(folder: Path, damage: bytes) -> None:
    folder.mkdir()
    (folder / "progress.json").write_bytes(damage)
    assert check("92.1", 1).status == "solved"
    assert saved(folder) == ["92.1"]
    assert (folder / "progress-damaged-1.json").read_bytes() == damage
    assert "An older progress file was damaged; it is kept in" in progress().text


def test_a_second_damaged_file_does_not_replace_the_first(folder: Path) -> None:
    folder.mkdir()
    for text in ("one", "two"):
        (folder / "progress.json").write_text(text, encoding="utf-8")
        progress()
    assert [file.read_text(encoding="utf-8") for file in sorted(folder.glob("*damaged*"))] == ["one", "two"]


def test_resetting_a_damaged_file_keeps_it_too(folder: Path) -> None:
    folder.mkdir()
    (folder / "progress.json").write_text("?", encoding="utf-8")
    reset_progress()
    assert (folder / "progress-damaged-1.json").read_text(encoding="utf-8") == "?"


class TestWhenNothingCanBeSaved:
    SENTENCE = "Progress can't be saved at the moment: it is kept until this kernel ends."

    def test_a_folder_that_can_not_be_made_does_not_stop_a_check(self, folder: Path) -> None:
        folder.write_text("a file where the folder belongs", encoding="utf-8")
        assert check("92.1", 1).status == "solved"
        assert progress().head == "1 of 2 exercises solved"
        assert progress().text.endswith(self.SENTENCE)
        assert "can't be reset" in repr(reset_progress())

    def test_a_read_only_file_is_still_read(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        check("92.1", 1)

        def refuse(*_: object) -> None:
            raise PermissionError("read-only")

        monkeypatch.setattr(_store, "_lock", refuse)  # chmod would not hold for root
        check("92.2", 1)
        assert progress().head == "2 of 2 exercises solved"
        assert progress().text.endswith(self.SENTENCE)

    def test_a_disk_that_fills_up_leaves_what_was_saved(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        check("92.1", 1)

        def write_half(path: Path, text: str, **_: str) -> None:
            path.write_bytes(text[: len(text) // 2].encode())
            raise OSError("No space left on device")

        monkeypatch.setattr(Path, "write_text", write_half)
        check("92.2", 1)
        assert saved(folder) == ["92.1"]
        assert progress().head == "2 of 2 exercises solved"
        assert progress().text.endswith(self.SENTENCE)

    def test_a_locked_file_is_saved_later(self, folder: Path) -> None:
        folder.mkdir()
        with filelock.FileLock(folder / "progress.lock"):
            assert check("92.1", 1).status == "solved"
            assert progress().text.endswith(self.SENTENCE)
        check("92.2", 1)
        assert saved(folder) == ["92.1", "92.2"]

    def test_a_folder_in_the_place_of_the_file_does_not_stop_a_check(self, folder: Path) -> None:
        (folder / "progress.json").mkdir(parents=True)
        assert check("92.1", 1).status == "solved"
        assert progress().text.endswith(self.SENTENCE)
