"""make notebook: a notebook from the template passes every test at once, and a wrong name leaves nothing behind."""

import re
import subprocess
from pathlib import Path

from tests import checkout
from tests.needs import need_module
from tools import series

import pytest

FIRST = series.read_series()[0].path.name
NEXT = len(series.read_series())


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_module("jupytext")
    return checkout.copy(tmp_path_factory.mktemp("repository"))


def new_notebook(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return checkout.run(folder, "tools.new", *arguments)


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


@pytest.mark.parametrize(
    ("number", "name", "title", "message"),
    [
        (f"{NEXT - 1}", "security", "A", f"NB={NEXT - 1} won't do: {NEXT - 1:02}_"),
        (f"{NEXT + 1}", "security", "A", f"won't do: the series has no gaps. The next number is {NEXT:02}"),
        ("", "security", "A", "NB= won't do: the series has no gaps"),
        ("x", "security", "A", "NB=x won't do"),
        ("²", "security", "A", "NB=² won't do"),
        (f"{NEXT}", "Keep-out", "A", "NAME=Keep-out won't do: write small letters, digits and single underscores"),
        (f"{NEXT}", "", "A", "NAME= won't do"),
        (f"{NEXT}", "../elsewhere", "A", "NAME=../elsewhere won't do"),
        (f"{NEXT}", "security", "", "TITLE='' won't do: write one line that begins with a letter"),
        (f"{NEXT}", "security", 'So "safe"', "won't do: write one line that begins with a letter"),
        (f"{NEXT}", "security", "Two\nlines", "won't do: write one line that begins with a letter"),
    ],
)
def test_what_will_not_do_is_told_why(number: str, name: str, title: str, message: str) -> None:
    need_module("jupytext")
    from tools import new

    with pytest.raises(series.SeriesError, match=re.escape(message)):
        new.new_files(number, name, title)


def test_where_a_file_is_in_the_way_nothing_is_written(repository: Path) -> None:
    mine = repository / "teams_lib" / "exercises" / f"nb{NEXT:02}.py"
    mine.write_text("# mine\n", encoding="utf-8")
    before = files(repository)
    shown = new_notebook(repository, str(NEXT), "security", "Keep strangers out")
    assert files(repository) == before
    assert mine.read_text(encoding="utf-8") == "# mine\n"
    mine.unlink()
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr == f"teams_lib/exercises/{mine.name} is there already: move it away first\n"


def test_nothing_of_the_template_is_left_to_fill_in() -> None:
    need_module("jupytext")
    from tools import new

    meant = {"CONTRIBUTING", "INTERNAL", "PNG", "WRONG"}
    for text in new.new_files(f"{NEXT}", "security", "Keep strangers out").values():
        assert set(re.findall(r"(?<![A-Za-z])[A-Z]{2,}(?![a-z])", text)) <= meant


def test_a_word_of_the_template_that_holds_a_placeholder_stays(tmp_path: Path) -> None:
    need_module("jupytext")
    from tools import new

    (tmp_path / "a.md").write_text("# NUMBER · TITLE\n\nYou CANNOT miss nbNN.py and NN.1.\n", encoding="utf-8")
    filled = new._fill(tmp_path / "a.md", 7, "Read a TITLE")
    assert filled == "# 7 · Read a TITLE\n\nYou CANNOT miss nb07.py and 07.1.\n"


def test_a_notebook_from_the_template_passes_every_test_at_once(repository: Path) -> None:
    made = new_notebook(repository, str(NEXT), "keep_strangers_out", "Keep strangers out")
    assert (made.returncode, made.stderr) == (0, "")
    stem = f"{NEXT:02}_keep_strangers_out"
    *written, advice = made.stdout.splitlines()
    assert written == [
        f"notebooks/{stem}.ipynb",
        f"teams_lib/exercises/nb{NEXT:02}.py",
        f"tests/wrong_answers/nb{NEXT:02}.py",
    ]
    assert advice == f"Now run: make refresh NB={NEXT}. CONTRIBUTING.md goes on from there."
    for command in (
        ("tools.refresh", str(NEXT)),
        ("pytest", "--nbval", "-q", written[0], f"notebooks/{FIRST}"),  # which counts all exercises
        ("pytest", "-q", "tests/test_notebooks.py", "tests/test_exercises_in_notebooks.py", "-k", of_the_new_one(stem)),
        ("ruff", "check", *written),
        ("ruff", "format", "--check", *written),
    ):
        run = checkout.run(repository, *command)
        assert run.returncode == 0, f"{command}\n{run.stdout}\n{run.stderr}"


def of_the_new_one(stem: str) -> str:
    """The tests of one notebook and of the series, for -k; that of eight kernels runs others."""
    others = [entry.path.stem for entry in series.read_series()]
    return f"{stem} or not (eight or differs or stays_the_same or {' or '.join(others)})"
