"""Run the notebooks and store them in their normal form: ``python -m tools.refresh [NN ...] [--check]``.

The result depends on the notebooks and the installed packages only: refreshing twice gives identical bytes.

A cell tagged ``measured`` draws times or rates, which differ on each run. Its stored picture is kept until its source,
or that of a code cell before it, changes; its metadata holds the hash of these sources. ``REMEASURE=1`` measures again.
"""

import argparse
import copy
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from teams_lib import trouble
from tools import series

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode

CELL_SECONDS = 60
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CELL_METADATA = ("tags", "generated", "reason", "measured", "trouble")
PICTURE_METADATA = ("alt", "height", "width")
ANSI = re.compile(r"\x1b\[[0-9;]*m")
CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class BrokenCellError(Exception):
    """A cell that raised, hung or ended its kernel."""

    def __init__(self, position: int, source: str, error: str) -> None:
        indented = "\n".join(f"    {line}" for line in source.splitlines())
        super().__init__(f"cell {position} failed:\n\n{indented}\n\n{error}")


def execute(notebook: NotebookNode, folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run every code cell of a notebook in a fresh kernel and keep the outputs in it.

    Args:
        notebook: the notebook; changed in place, also when a cell breaks.
        folder: the working directory of the kernel.
        environment: variables to set for the kernel, on top of those of this process.

    Raises:
        BrokenCellError: a cell raised without the tag ``raises-exception``, or took more than 60 seconds.
    """
    with tempfile.TemporaryDirectory() as scratch:
        # TCP ports are chosen before the kernel takes them: among many kernels, another program may be faster.
        private = {"transport": "ipc", "connection_file": os.path.join(scratch, "kernel.json")}
        manager = AsyncKernelManager(
            kernel_name="python3",
            # This interpreter, whatever "python3" is for the user.
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            **(private if os.name == "posix" else {}),
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=CELL_SECONDS,
            record_timing=False,
            store_widget_state=False,
            resources={"metadata": {"path": str(folder)}},
        )
        progress = os.path.join(scratch, "progress")
        variables = {**os.environ, "TEAMS_PROGRESS_DIR": progress, **(environment or {})}
        # What a kernel writes to its file descriptors is no output of a cell; nbval drops it too.
        with client.setup_kernel(env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cleanup_kc=True):
            for index, cell in enumerate(notebook.cells):
                try:
                    client.execute_cell(cell, index)
                except CellExecutionError as error:
                    raise BrokenCellError(index + 1, cell.source, f"{error.ename}: {error.evalue}") from error
                except CellTimeoutError as error:
                    raise BrokenCellError(index + 1, cell.source, f"It ran for over {CELL_SECONDS} s.") from error
                except RuntimeError as error:  # nbclient's word for a kernel that died
                    raise BrokenCellError(index + 1, cell.source, str(error)) from error


def normalise(notebook: NotebookNode, number: int) -> None:
    """Bring a notebook into its normal form, in place.

    What stays: sources, outputs, valid cell ids, and metadata that the course gives a meaning. What goes: everything
    that differs between runs, machines and editors.

    Args:
        notebook: the notebook, just run.
        number: its number in the series, which goes into new cell ids.
    """
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    metadata = {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
    if "course" in notebook.metadata:
        metadata["course"] = notebook.metadata.course
    notebook.metadata = metadata
    _give_ids(notebook.cells, number)
    count = 0
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in CELL_METADATA if cell.metadata.get(key)}
        if cell.cell_type == "code":
            count += bool(cell.source.strip())
            cell.execution_count = count if cell.source.strip() else None  # an empty cell never runs
            cell.outputs = _merge_streams(cell.outputs)
            for output in cell.outputs:
                _normalise_output(output, count)


def _give_ids(cells: list[NotebookNode], number: int) -> None:
    taken: set[str] = set()
    for index, cell in enumerate(cells):
        name, tries = cell.get("id", ""), 0
        while name in taken or not CELL_ID.fullmatch(name):
            digest = hashlib.sha256(f"{number}:{index}:{tries}:{cell.source}".encode()).hexdigest()[:8]
            name, tries = f"{number:02}-{digest}", tries + 1
        cell.id = name
        taken.add(name)


def _merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbours of the same stream: where the kernel flushes differs between runs."""
    merged: list[NotebookNode] = []
    for output in outputs:
        if merged and output.output_type == "stream" and merged[-1].get("name") == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def _normalise_output(output: NotebookNode, count: int) -> None:
    if output.output_type == "execute_result":
        output.execution_count = count
    if output.output_type == "error" and output.traceback:
        output.traceback = _cell_frames(output)
    if "metadata" in output:
        pictures = {mime: output.metadata[mime] for mime in output.metadata if mime.startswith("image/")}
        kept = {mime: {key: value[key] for key in PICTURE_METADATA if key in value} for mime, value in pictures.items()}
        output.metadata = {mime: value for mime, value in kept.items() if value}


def _cell_frames(output: NotebookNode) -> list[str]:
    """Cut a traceback to the frames in cells and the message: frames in files hold paths of this machine."""
    *frames, last = (ANSI.sub("", frame) for frame in output.traceback)
    message = f"{output.ename}: {output.evalue}" if _in_file(last) else last
    return [frame for frame in frames if not _in_file(frame)] + [message]


def _in_file(frame: str) -> bool:
    return frame.lstrip().startswith("File ")


def source_hash(cells: list[NotebookNode], index: int) -> str:
    """Return the hash that a measured cell keeps: of its source and of the code before it, which it may measure."""
    sources = [cell.source for cell in cells[: index + 1] if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def keep_measured(stored: NotebookNode, notebook: NotebookNode) -> None:
    """Put the pictures of ``measured`` cells back, unless the code up to there changed or ``REMEASURE=1`` is set."""
    for index, (before, after) in enumerate(zip(stored.cells, notebook.cells, strict=True)):
        if "measured" not in after.metadata.get("tags", []):
            after.metadata.pop("measured", None)
            continue
        now = source_hash(notebook.cells, index)
        current = before.metadata.get("measured") == now and os.environ.get("REMEASURE") != "1"
        old, new = _pictures(before), _pictures(after)
        if current and len(old) == len(new):
            for picture, kept in zip(new, old, strict=True):
                picture.data["image/png"] = kept.data["image/png"]
                picture.metadata = kept.metadata
        after.metadata["measured"] = now


def _pictures(cell: NotebookNode) -> list[NotebookNode]:
    return [output for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]


def main(arguments: list[str] | None = None) -> int:
    """Refresh the notebooks named by number, or all of them; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.refresh", description="Run and normalise the notebooks.")
    parser.add_argument("numbers", nargs="*", type=int, metavar="NN", help="which notebooks (default: all)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if anything would change")
    options = parser.parse_args(arguments)
    try:
        outcome = refresh(options.numbers, options.check)
    except series.SeriesError as error:
        _report(str(error))
        return 1
    return int(bool(outcome.broken) or (options.check and outcome.changed))


@dataclass(frozen=True)
class Outcome:
    """What came of refreshing."""

    changed: bool
    """Whether a file has changed, or would have."""
    broken: dict[str, str]
    """The notebooks that did not run to their end, which stay as they were: file name to what broke."""


def refresh(chosen: Iterable[int] = (), check: bool = False) -> Outcome:
    """Run notebooks and store them; the others get their bars, and README.md and errors.md what is made of them all.

    Args:
        chosen: the numbers of the notebooks to run, and the first one with them, which counts the exercises of all;
            without any, all.
        check: write nothing.

    Returns:
        What has changed and what is broken. One line a notebook goes to stderr meanwhile.

    Raises:
        SeriesError: a notebook lacks something that the series needs; nothing has run.
    """
    numbers = set(chosen)
    entries = series.read_series()
    try:
        index = trouble.read_index()
    except ValueError as error:
        raise series.SeriesError(str(error)) from error
    if unknown := numbers - {entry.number for entry in entries}:
        raise series.SeriesError(
            f"no notebook has the number {', '.join(f'{number:02}' for number in sorted(unknown))}"
        )
    if numbers:
        numbers.add(entries[0].number)
    readme = series.README.read_text(encoding="utf-8")
    changed = _store(series.README, readme, series.generate_readme(readme, entries), check)
    broken = {}
    for place, entry in enumerate(entries):
        stored = series.load(entry.path)
        notebook = copy.deepcopy(stored)
        series.generate_cells(notebook, entries, place)
        started = time.monotonic()
        if not numbers or entry.number in numbers:
            before = copy.deepcopy(notebook)
            try:
                execute(notebook, entry.path.parent)
            except BrokenCellError as error:
                broken[entry.path.name] = str(error)
                _report(f"{entry.path.name}: {error}\n")
                continue
            normalise(notebook, entry.number)
            keep_measured(before, notebook)
            nbformat.validate(notebook)
            outcome = _difference(stored, notebook)
            _report(f"{entry.path.stem}  {len(notebook.cells)} cells  {time.monotonic() - started:.1f} s  {outcome}")
        text = entry.path.read_text(encoding="utf-8")
        changed |= _store(entry.path, text, series.dump(notebook), check)
    page = series.ERRORS.read_text(encoding="utf-8") if series.ERRORS.exists() else ""
    changed |= _store(series.ERRORS, page, series.errors_page(index), check)
    return Outcome(changed, broken)


def _difference(stored: NotebookNode, notebook: NotebookNode) -> str:
    pairs = enumerate(zip_longest(stored.cells, notebook.cells), start=1)
    positions = [str(position) for position, (before, after) in pairs if before != after]
    if len(positions) > 8:
        return f"changed: {len(positions)} cells"
    return f"changed: cells {', '.join(positions)}" if positions else "same cells"


def _store(path: Path, before: str, after: str, check: bool) -> bool:
    """Write a file that has changed, whole or not at all; return whether it has changed."""
    if before == after:
        return False
    if check:
        _report(f"{path.name} is not up to date: run `make refresh`")
    else:
        scratch = path.with_name(f"{path.name}.tmp")
        scratch.write_text(after, encoding="utf-8", newline="\n")
        scratch.replace(path)
    return True


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
