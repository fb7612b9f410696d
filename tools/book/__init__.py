"""The course as a static site: ``python -m tools.book [FOLDER]``.

The notebooks are shown as they are stored, and never run. Sphinx reads a folder of its own, which is made anew for each
build and thrown away: there, the bars of the notebooks are gone, since each page has its own navigation, and pages are
added for the start and for the files of the repository that the texts link to.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools import series

from nbformat import NotebookNode

CONFIGURATION: Final = Path(__file__).parent
TARGET: Final = series.ROOT / "build" / "book"
# A link from notebooks/ to a file of the repository that is no page of the book.
FILE_LINK: Final = re.compile(r"(?<=\]\(\.\./)[\w./]+(?=\))")


class NoBookError(ValueError):
    """A folder holds something that building would erase."""


def build(target: Path = TARGET) -> int:
    """Build the book into a folder, in place of one that was built there before, and return the exit status of Sphinx.

    Args:
        target: where the site goes; its ``index.html`` can be opened from there, or from a copy of the folder anywhere.

    Raises:
        NoBookError: the folder holds something else.
    """
    if target.exists():
        if any(target.iterdir()) and not (target / "searchindex.js").exists():
            raise NoBookError(f"{target} holds something that is no book: name a new folder, or an empty one.")
        shutil.rmtree(target)
    with tempfile.TemporaryDirectory(prefix="book-") as folder:
        sources, doctrees = Path(folder, "sources"), Path(folder, "doctrees")
        write_sources(sources)
        sphinx = [sys.executable, "-m", "sphinx", "--builder=html", "--fail-on-warning", "--keep-going", "--quiet"]
        command = [*sphinx, f"--conf-dir={CONFIGURATION}", f"--doctree-dir={doctrees}", str(sources), str(target)]
        return subprocess.run(command, cwd=series.ROOT, check=False).returncode


def write_sources(folder: Path) -> None:
    """Write what Sphinx reads: the notebooks without their bars, and the pages around them."""
    (folder / "notebooks").mkdir(parents=True)
    shutil.copytree(series.NOTEBOOKS / "images", folder / "notebooks" / "images")
    entries = series.read_series()
    linked: set[str] = set()
    for entry in entries:
        notebook = series.load(entry.path)
        linked.update(_prepare(notebook))
        (folder / "notebooks" / entry.path.name).write_text(series.dump(notebook), encoding="utf-8")
    shutil.copy(series.ERRORS, folder / "notebooks")
    (folder / "index.md").write_text(start_page(entries), encoding="utf-8")
    for name in linked:
        page = folder / f"{name}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(file_page(name), encoding="utf-8")


def _prepare(notebook: NotebookNode) -> Iterator[str]:
    """Fit a notebook into the book, in place, and yield the files of the repository that it links to."""
    notebook.cells = [cell for cell in notebook.cells if cell.metadata.get("generated") != "bar"]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield from FILE_LINK.findall(cell.source)
            cell.source = FILE_LINK.sub(lambda link: f"{link[0]}.md", cell.source)
        else:
            # MyST-NB looks for the text of a picture in the metadata of the cell, not of the picture.
            alts = [kind["alt"] for output in cell.outputs for kind in output.get("metadata", {}).values()]
            cell.metadata["mystnb"] = {"image": {"alt": alts[0]}} if alts else {}


def start_page(entries: list[series.Entry]) -> str:
    """Return the first page: README.md up to the end of its map, and the contents of the book."""
    readme = series.README.read_text(encoding="utf-8")
    contents = []
    for part, name in series.PARTS.items():
        pages = [f"notebooks/{entry.path.stem}" for entry in entries if entry.part == part]
        contents += [_toctree(f"Part {part}: {name}", pages)] if pages else []
    contents += [_toctree("Look up", ["notebooks/errors"])]
    return "\n\n".join([readme.partition("<!-- /map -->")[0], *contents])


def _toctree(caption: str, pages: list[str]) -> str:
    return "\n".join(["```{toctree}", ":hidden:", f":caption: '{caption}'", "", *pages, "```"])


def file_page(name: str) -> str:
    """Return a page that shows a file of the repository, named by its path from the root."""
    file = series.ROOT / name
    return f"---\norphan: true\n---\n# {name}\n\n~~~~{file.suffix[1:]}\n{file.read_text(encoding='utf-8')}~~~~\n"


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as JupyterLab makes it: links between notebooks use these.

    Example:
        >>> anchor("Who runs your cells?")
        'Who-runs-your-cells?'
    """
    return heading.replace(" ", "-")
