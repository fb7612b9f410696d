"""What learners do besides reading from top to bottom: run everything again, or cells in an order that makes no sense.

Each notebook gets one kernel. Its cells run from last to first, where nothing is defined yet; then twice from first to
last; then from last to first once more, where everything has been closed. Each cell waits for the one before.
"""

import ast
import copy
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tools import refresh, series

import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

pytestmark = pytest.mark.long

PATHS = sorted(series.NOTEBOOKS.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)

SECONDS_A_CELL = 30  # the slowest waits for 5 s, and then says what it has waited for
# Errors by accident: their text names no cause. From a line of a cell that a learner sees, they are clear all the same.
ACCIDENTS = {"AssertionError", "AttributeError", "IndexError", "KeyError", "RecursionError", "SystemError", "TypeError"}


@dataclass
class Runs:
    """What was not as it should be, a line each."""

    unlike_the_stored_outputs: list[str] = field(default_factory=list)
    unclear_in_a_fresh_kernel: list[str] = field(default_factory=list)
    unclear_after_a_run: list[str] = field(default_factory=list)
    without_end: list[str] = field(default_factory=list)


def run_in_all_orders(path: Path, progress: Path) -> Runs:
    """Run a notebook's cells: reversed, in order, in order, reversed; stop at a cell that hangs or ends its kernel."""
    runs, stored, reached = Runs(), series.load(path), ""
    forwards = [index for index, cell in enumerate(stored.cells) if cell.cell_type == "code"]
    names = {name for index in forwards for name in defined_by(stored.cells[index])}
    notebook = copy.deepcopy(stored)
    client = NotebookClient(
        notebook,
        timeout=SECONDS_A_CELL,
        kernel_name="python3",
        allow_errors=True,
        extra_arguments=["--InteractiveShell.xmode=Plain"],  # a thousand tracebacks in colour take long to draw
        resources={"metadata": {"path": str(path.parent)}},
    )

    def run(order: Iterable[int]) -> Iterator[tuple[str, list[NotebookNode], list[NotebookNode]]]:
        """Run cells, and yield each one's number, its outputs, and what is stored for it."""
        nonlocal reached
        for index in order:
            reached = f"[{stored.cells[index].execution_count}]"
            shown = client.execute_cell(notebook.cells[index], index).outputs
            yield reached, shown, stored.cells[index].outputs

    with client.setup_kernel(env={**os.environ, "TEAMS_PROGRESS_DIR": str(progress)}):
        try:
            for number, shown, _ in run(reversed(forwards)):
                runs.unclear_in_a_fresh_kernel += [f"{number} {text}" for text in unclear(shown, names)]
            for _ in run(forwards):
                pass  # pytest --nbval compares a first run
            for number, shown, wanted in run(forwards):
                if compared(shown) != compared(wanted):
                    runs.unlike_the_stored_outputs.append(f"{number} {compared(shown)}, not {compared(wanted)}")
            for number, shown, wanted in run(reversed(forwards)):
                by_design = [output.evalue for output in wanted if output.output_type == "error"]
                runs.unclear_after_a_run += [f"{number} {text}" for text in unclear(shown, names, by_design)]
            notebook.cells[forwards[0]].source = "6 * 7"
            [answer] = client.execute_cell(notebook.cells[forwards[0]], forwards[0]).outputs
            assert answer.data["text/plain"] == "42"
        except (CellTimeoutError, DeadKernelError) as error:
            runs.without_end.append(f"{reached} {error}")
    return runs


def defined_by(cell: NotebookNode) -> set[str]:
    """The names that a cell defines for the cells after it, and some that it keeps to itself."""
    try:
        nodes = list(ast.walk(ast.parse(cell.source)))
    except SyntaxError:  # on purpose, or a magic
        return set()
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    made = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    aliases = [alias for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names]
    return stored | made | {(alias.asname or alias.name).split(".")[0] for alias in aliases}


def unclear(outputs: list[NotebookNode], names: set[str], by_design: Iterable[str] = ()) -> list[str]:
    """The errors that leave a learner at a loss: without a text, or about the inside of a library.

    Args:
        outputs: those of one cell.
        names: what the notebook's cells define. A NameError about another name is a mistake of the notebook's.
        by_design: the texts of errors that the cell is there to show.
    """
    errors = [output for output in outputs if output.output_type == "error" and output.evalue not in by_design]
    return [f"{error.ename}: {error.evalue}" for error in errors if not _is_clear(error, names)]


def _is_clear(error: NotebookNode, names: set[str]) -> bool:
    if error.ename == "NameError":
        missing = re.search(r"name '(\w+)' is not defined", error.evalue)
        return missing is not None and missing[1] in names
    *frames, _ = (refresh.ANSI.sub("", frame) for frame in error.traceback)
    in_library = bool(frames) and frames[-1].lstrip().startswith("File ")
    return bool(error.evalue.strip()) and not (error.ename in ACCIDENTS and in_library)


def compared(outputs: list[NotebookNode]) -> list[tuple[str, object]]:
    """What nbval compares: the texts of each stream, errors, and all data but binary pictures."""
    found: list[tuple[str, object]] = []
    for output in outputs:
        if output.output_type == "stream" and found and found[-1][0] == output.name:
            found[-1] = (output.name, f"{found[-1][1]}{output.text}")
        elif output.output_type == "stream":
            found.append((output.name, output.text))
        elif output.output_type == "error":
            found.append((output.ename, output.evalue))
        else:
            found.append(("data", {mime: data for mime, data in output.data.items() if mime != "image/png"}))
    return found


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Path, Future[Runs]]]:
    """The runs of all chosen notebooks, started together: a cell often waits for what never comes."""
    mine = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path]
    chosen = dict.fromkeys(item.callspec.params["path"] for item in mine)
    with ThreadPoolExecutor(max_workers=4) as pool:
        yield {path: pool.submit(run_in_all_orders, path, tmp_path_factory.mktemp(path.stem)) for path in chosen}


@each_notebook
def test_no_order_of_cells_hangs_or_ends_the_kernel(path: Path, runs: dict[Path, Future[Runs]]) -> None:
    assert runs[path].result().without_end == []


@each_notebook
def test_a_second_run_in_the_same_kernel_shows_the_same(path: Path, runs: dict[Path, Future[Runs]]) -> None:
    assert runs[path].result().unlike_the_stored_outputs == []


@each_notebook
def test_a_cell_that_comes_too_early_says_what_it_lacks(path: Path, runs: dict[Path, Future[Runs]]) -> None:
    assert runs[path].result().unclear_in_a_fresh_kernel == []


@each_notebook
def test_a_cell_that_comes_too_late_says_what_is_gone(path: Path, runs: dict[Path, Future[Runs]]) -> None:
    assert runs[path].result().unclear_after_a_run == []
