"""The series as data, and the cells that are generated from it.

Each notebook states in its metadata where it stands: ``"course": {"part": 1, "minutes": 30, "about": "…"}``.
Its title is its H1, without a leading number (``# 3 · …``). From these come the
navigation bars, the map in the first notebook and the map in README.md; and from the entries ``trouble`` of its cells,
notebooks/errors.md.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from teams_lib import trouble

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
README = ROOT / "README.md"
ERRORS = NOTEBOOKS / "errors.md"
PARTS = {1: "A first service", 2: "What happens underneath", 3: "Running it for others", 4: "Beyond one process"}
FILE_NAME = re.compile(r"(\d\d)(?:_[a-z0-9]+)+\.ipynb")


class SeriesError(ValueError):
    """A notebook or README.md lacks something that the series needs."""


@dataclass(frozen=True)
class Entry:
    """One notebook of the series."""

    path: Path
    number: int
    title: str
    part: int
    minutes: int
    about: str


def load(path: Path) -> NotebookNode:
    """Read a notebook as it is stored; unlike ``nbformat.read`` this adds no random cell ids."""
    notebook: NotebookNode = nbformat.v4.reads(path.read_text(encoding="utf-8"))
    return notebook


def dump(notebook: NotebookNode) -> str:
    """Return the text that is stored for a notebook: nbformat's own layout and a last newline."""
    text: str = nbformat.v4.writes(notebook)
    return text + "\n"


def read_series(folder: Path = NOTEBOOKS) -> list[Entry]:
    """Read what each notebook says about itself, in order.

    Raises:
        SeriesError: a file name, a title or the ``course`` metadata is missing or wrong.
    """
    return [_entry(path) for path in sorted(folder.glob("*.ipynb"))]


def _entry(path: Path) -> Entry:
    name = FILE_NAME.fullmatch(path.name)
    if name is None:
        raise SeriesError(f"{path.name}: name it NN_snake_case.ipynb")
    notebook = load(path)
    number = int(name[1])
    title = re.match(rf"# {number} · (.+)", notebook.cells[0].source) if notebook.cells else None
    if title is None:
        raise SeriesError(f"{path.name}: begin the first cell with '# {number} · ' and the title")
    course = notebook.metadata.get("course", {})
    if course.get("part") not in PARTS or not isinstance(course.get("minutes"), int) or not course.get("about"):
        wanted = '"course": {"part": 1, "minutes": 30, "about": "one line, verb first"}'
        raise SeriesError(f"{path.name}: its metadata needs {wanted}, with a part from 1 to {max(PARTS)}")
    return Entry(path, number, title[1].strip(), course["part"], course["minutes"], course["about"])


def bar(series: list[Entry], index: int) -> str:
    """Return the navigation bar of one notebook: previous, contents, next, and where it stands."""
    entry = series[index]
    links = [f"← [{series[index - 1].title}]({series[index - 1].path.name})"] if index else []
    links += [f"[contents]({series[0].path.name})"] if index else []
    links += [f"[{following.title}]({following.path.name}) →" for following in series[index + 1 : index + 2]]
    part = PARTS[entry.part][0].lower() + PARTS[entry.part][1:]
    place = f"Notebook {entry.number} of {series[-1].number} · Part {entry.part}, {part}"
    return "\n\n".join([" · ".join(links), place]) if links else place


def series_map(series: list[Entry], folder: str = "") -> str:
    """Return the table of the series, part by part.

    Args:
        series: the notebooks, in order.
        folder: what stands before a file name in a link: ``""`` inside notebooks/, ``"notebooks/"`` outside.
    """
    blocks = []
    for part, name in PARTS.items():
        rows = [_row(entry, folder) for entry in series if entry.part == part]
        if rows:
            head = ["| No. | Notebook | What you do | Minutes |", "|---|---|---|--:|"]
            blocks += [f"**Part {part}: {name}**", "\n".join(head + rows)]
    hours, minutes = divmod(sum(entry.minutes for entry in series), 60)
    return "\n\n".join([*blocks, f"{len(series)} notebooks, {hours} h {minutes} min in all."])


def _row(entry: Entry, folder: str) -> str:
    title, about = (text.replace("|", r"\|") for text in (entry.title, entry.about))
    return f"| {entry.number:02} | [{title}]({folder}{entry.path.name}) | {about} | {entry.minutes} |"


def generate_cells(notebook: NotebookNode, series: list[Entry], index: int) -> None:
    """Put the bars in place, below the title and at the end, and write the map into the cell that is marked for it."""
    cells = [cell for cell in notebook.cells if cell.metadata.get("generated") != "bar"]
    text = bar(series, index)
    top, bottom = (
        nbformat.v4.new_markdown_cell(text, id=name, metadata={"generated": "bar"}) for name in ("bar-top", "bar-end")
    )
    notebook.cells = [cells[0], top, *cells[1:], bottom]
    for cell in cells:
        if cell.metadata.get("generated") == "map":
            cell.source = series_map(series)


def generate_readme(text: str, series: list[Entry]) -> str:
    """Return the text of README.md with the map between its two marks.

    Raises:
        SeriesError: the marks are missing.
    """
    before, opened, rest = text.partition("<!-- map -->\n")
    _, closed, after = rest.partition("<!-- /map -->")
    if not (opened and closed):
        raise SeriesError("README.md: mark the place of the map with the lines <!-- map --> and <!-- /map -->")
    # Blank lines, since Markdown shows a table that touches an HTML comment as text.
    return f"{before}{opened}\n{series_map(series, 'notebooks/')}\n\n{closed}{after}"


def errors_page(entries: Sequence[trouble.Entry]) -> str:
    """Return the text of errors.md: from what you see to the lesson that shows it."""
    rows = sorted(
        (entry.text.lower(), _trouble_row(trouble.as_code(entry.text), entry)) for entry in entries if entry.text
    )
    silent = [_trouble_row(_cell(entry.symptom), entry) for entry in entries if entry.symptom]
    return f"""# From an error to its lesson

Every text below stands word for word in the output of a cell, where you can provoke it and mend it. Numbers and
addresses differ on your machine. With an error in your hands, a cell finds its line:

```python
from teams_lib import explain

explain(error)  # an exception, or text that you paste
```

## What the error says

| It says | Why | The way out | Lesson |
|---|---|---|---|
{chr(10).join(row for _, row in rows)}

## Where nothing tells you

| You notice | Why | The way out | Lesson |
|---|---|---|---|
{chr(10).join(silent)}
"""


def _trouble_row(what: str, entry: trouble.Entry) -> str:
    return f"| {what} | {_cell(entry.cause)} | {_cell(entry.mend)} | {_cell(entry.link)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
