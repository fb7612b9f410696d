"""The exercises of every notebook: handed out unsolved, told apart from wrong answers, solved by their solution."""

import itertools
import os
import runpy
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from teams_lib.exercises import Exercise, Result, find, notebooks, of_notebook
from teams_lib.exercises._registry import heading

import nbclient
import nbformat
import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def tags(cell: nbformat.NotebookNode) -> list[str]:
    found: list[str] = cell.metadata.get("tags", [])
    return found


def exercise_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if "exercise" in tags(cell)]


def exercise_of(cell: nbformat.NotebookNode) -> Exercise:
    """The exercise that the cell's last line checks."""
    last = cell.source.splitlines()[-1]
    assert last.startswith('check("'), f"An exercise's cell ends with its check, not with {last!r}."
    return find(last.split('"')[1])


def wrong_answers(number: str) -> dict[str, list[tuple[str, str]]]:
    wrong: dict[str, list[tuple[str, str]]] = runpy.run_path(str(ROOT / "tests" / "wrong_answers" / f"nb{number}.py"))[
        "WRONG"
    ]
    return wrong


every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
every_notebook_with_exercises = pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if exercise_cells(path)], ids=lambda path: path.stem
)


@every_notebook
def test_a_notebook_holds_the_exercises_of_its_module_in_order(path: Path) -> None:
    in_notebook = [exercise_of(cell).id for cell in exercise_cells(path)]
    assert in_notebook == [each.id for each in of_notebook(path.stem[:2])]


@every_notebook
def test_from_the_first_lesson_on_a_notebook_has_three_exercises(path: Path) -> None:
    if path.stem[:2] != "00":
        assert len(exercise_cells(path)) >= 3


def test_every_module_of_exercises_has_its_notebook() -> None:
    assert set(notebooks()) <= {path.stem[:2] for path in NOTEBOOKS}


@every_notebook_with_exercises
def test_progress_calls_a_notebook_by_its_title(path: Path) -> None:
    number, title = read(path).cells[0].source.splitlines()[0].removeprefix("# ").split(" · ", 1)
    assert heading(path.stem[:2]) == f"{int(number):02} · {title}"


@every_notebook_with_exercises
def test_an_exercise_is_handed_out_unsolved(path: Path) -> None:
    for cell in exercise_cells(path):
        exercise = exercise_of(cell)
        unsolved = Result(exercise.id, "not attempted")
        assert cell.source == exercise.cell(exercise.stub), (
            f"make the cell and the stub in teams_lib/exercises/nb{path.stem[:2]}.py the same"
        )
        assert [output.data for output in cell.outputs] == [
            {"text/plain": repr(unsolved), "text/html": unsolved._repr_html_()}
        ]


@every_notebook_with_exercises
def test_an_exercise_follows_its_task(path: Path) -> None:
    cells = read(path).cells
    for before, cell in itertools.pairwise(cells):
        if "exercise" in tags(cell):
            assert before.cell_type == "markdown"


@every_notebook_with_exercises
def test_every_exercise_has_two_wrong_answers(path: Path) -> None:
    number = path.stem[:2]
    wrong = wrong_answers(number)
    assert sorted(wrong) == sorted(each.id for each in of_notebook(number))
    assert [exercise_id for exercise_id, answers in wrong.items() if len(answers) < 2] == []


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Path, Future[list[str]]]]:
    """The runs of all chosen notebooks, started together: a wrong answer is often one that lets its check wait."""
    mine = [item for item in request.session.items if item.name.startswith("test_wrong_answers_are_told_why")]
    chosen: list[Path] = [item.callspec.params["path"] for item in mine if isinstance(item, pytest.Function)]
    chosen.sort(key=lambda path: -sum(map(len, wrong_answers(path.stem[:2]).values())))  # the longest first
    with ThreadPoolExecutor(max_workers=4) as pool:
        yield {path: pool.submit(run_exercises, path, tmp_path_factory.mktemp(path.stem)) for path in chosen}


@every_notebook_with_exercises
def test_wrong_answers_are_told_why_and_the_solution_solves(path: Path, runs: dict[Path, Future[list[str]]]) -> None:
    assert runs[path].result() == []


def run_exercises(path: Path, progress: Path) -> list[str]:
    """Run a notebook in a kernel, its exercises with every wrong answer and then with the solution.

    Returns:
        What was not as it should be, a line each.
    """
    wrong = wrong_answers(path.stem[:2])
    notebook = read(path)
    client = nbclient.NotebookClient(
        notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )

    def shown(index: int, source: str) -> str:
        """Run an exercise's cell with this source, and return the line that the learner reads."""
        notebook.cells[index].source = source
        outputs = client.execute_cell(notebook.cells[index], index).outputs
        return str(outputs[-1].get("data", {}).get("text/plain", outputs[-1])) if outputs else ""

    failures = []
    with client.setup_kernel(env={**os.environ, "TEAMS_PROGRESS_DIR": str(progress)}):
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            if "exercise" not in tags(cell):
                client.execute_cell(cell, index)
                continue
            exercise = exercise_of(cell)
            for source, fragment in wrong[exercise.id]:
                line = shown(index, exercise.cell(source.strip()))
                if not line.startswith(f"{exercise.id} · not yet: ") or fragment not in line:
                    failures.append(f"{exercise.id}, {source!r}: expected {fragment!r} in {line!r}")
            line = shown(index, exercise.cell(exercise.solution))
            if line != repr(Result(exercise.id, "solved", exercise.title)):
                failures.append(f"{exercise.id}, its solution: {line!r}")
    return failures
