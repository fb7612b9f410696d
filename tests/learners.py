"""A learner who runs a notebook from top to bottom and solves its exercises, beside others on the same machine."""

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from teams_lib.exercises import Result, find
from tools import refresh, series

import nbformat
from nbformat import NotebookNode

LOOSE = {"nbval-ignore-output", "nbval-skip", "pytest-validate-ignore-output"}
# Runs before the notebook: every server but those of grpc.aio writes down who calls it.
WITNESS = """
def witness():
    from teams_lib import environment
    import grpc

    class Witness(grpc.ServerInterceptor):
        peers = set()

        def intercept_service(self, continuation, details):
            handler = continuation(details)
            if handler is None:
                return None
            sides = handler.request_streaming, handler.response_streaming
            kind = "_".join("stream" if streams else "unary" for streams in sides)
            behaviour = getattr(handler, kind)

            def seen(request, context):
                self.peers.add(context.peer())
                return behaviour(request, context)

            serialisers = handler.request_deserializer, handler.response_serializer
            return getattr(grpc, f"{kind}_rpc_method_handler")(seen, *serialisers)

    def server(pool, handlers=None, interceptors=None, *more, **options):
        return genuine(pool, handlers, [Witness(), *(interceptors or ())], *more, **options)

    genuine, grpc.server = grpc.server, server
    return Witness.peers


PEERS = witness()
"""
# Runs after it. `uss` is what ending the kernel would set free.
REPORT = """
import json, psutil
print(json.dumps({"memory": psutil.Process().memory_full_info().uss, "peers": sorted(PEERS)}))
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a learner saw."""

    changed: list[tuple[list[NotebookNode], list[NotebookNode]]]
    """By cell whose outputs are not those that are stored: the stored ones, and those that came."""

    answers: dict[str, str]
    """By exercise: what was shown for its solution."""

    mebibytes: float
    """What the kernel had for itself at the end."""

    peers: set[str]
    """Who called the kernel's servers, such as "ipv4:127.0.0.1:41234"."""


def notebook_path(number: str) -> Path:
    """The notebook of this number, such as "03"."""
    (path,) = series.NOTEBOOKS.glob(f"{number}_*.ipynb")
    return path


def compared_loosely(cell: NotebookNode) -> bool:
    """Whether nbval skips the cell, or its output."""
    comments = re.findall(r"^\s*#+\s*([A-Z_]+)\s*$", cell.source, re.MULTILINE)
    return not LOOSE.isdisjoint(
        [*cell.metadata.get("tags", []), *(text.lower().replace("_", "-") for text in comments)]
    )


def text_outputs(notebook: NotebookNode) -> list[list[NotebookNode]]:
    """The outputs that must repeat on a busy machine, by cell.

    That is all that nbval compares, but for what measured cells say of times: it holds where a machine keeps pace.
    """
    notebook = copy.deepcopy(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and not compared_loosely(cell)]
    cells = [cell for cell in cells if "measured" not in cell.metadata.get("tags", [])]
    for output in (output for cell in cells for output in cell.outputs):
        output.pop("traceback", None)
        output.pop("metadata", None)
        output.get("data", {}).pop("image/png", None)
    return [cell.outputs for cell in cells]


def right_answers(number: str) -> dict[str, str]:
    """By exercise of a notebook: what is shown for its solution, if it is accepted."""
    exercises = map(find, _exercise_ids(series.load(notebook_path(number))))
    return {each.id: repr(Result(each.id, "solved", each.title)) for each in exercises}


def work_through(number: str, execute: Callable[[NotebookNode], None]) -> Visit:
    """Run a notebook, each of its exercises as it is handed out and then with its solution.

    Args:
        number: of the notebook, such as "03".
        execute: runs the cells of a notebook in one kernel and keeps their outputs in it.
    """
    notebook = series.load(notebook_path(number))
    handed_out, solutions = notebook.cells, {}
    notebook.cells = [nbformat.v4.new_code_cell(WITNESS)]
    for cell in handed_out:
        notebook.cells.append(cell)
        if name := _exercise_id(cell):
            exercise = find(name)
            solutions[name] = nbformat.v4.new_code_cell(exercise.cell(exercise.solution))
            notebook.cells.append(solutions[name])
    notebook.cells.append(nbformat.v4.new_code_cell(REPORT))
    execute(notebook)
    report = json.loads(notebook.cells[-1].outputs[0].text)
    answers = {name: _last_line(cell) for name, cell in solutions.items()}
    notebook.cells = handed_out
    refresh.normalise(notebook, int(number))
    pairs = zip(text_outputs(series.load(notebook_path(number))), text_outputs(notebook), strict=True)
    changed = [(before, after) for before, after in pairs if before != after]
    return Visit(changed, answers, report["memory"] / 2**20, set(report["peers"]))


def _exercise_ids(notebook: NotebookNode) -> list[str]:
    return [name for cell in notebook.cells if (name := _exercise_id(cell))]


def _exercise_id(cell: NotebookNode) -> str:
    """The exercise that the cell's last line checks; empty if the cell is no exercise."""
    return cell.source.splitlines()[-1].split('"')[1] if "exercise" in cell.metadata.get("tags", []) else ""


def _last_line(cell: NotebookNode) -> str:
    return str(cell.outputs[-1].get("data", {}).get("text/plain", cell.outputs[-1])) if cell.outputs else ""
