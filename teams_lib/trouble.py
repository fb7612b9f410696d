"""explain(): from an error to the lesson that provokes it. Its index is what the notebooks say of their own outputs.

A code cell whose output shows a failure names it in its metadata, under ``trouble``: a list of objects with an ``id``,
the ``text`` of the error (the part that is always the same) or the ``symptom`` of a failure that says nothing, its
``cause`` and how to ``mend`` it. notebooks/errors.md is made of the same entries.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

NOTEBOOKS: Final = Path(__file__).resolve().parent.parent / "notebooks"
MOST: Final = 3
"""How many entries an explanation shows: a long log may hold the texts of many."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One failure, and where the course shows it."""

    id: str
    text: str
    """What the error says, word for word; empty if the failure says nothing."""
    symptom: str
    """What you notice, if the failure says nothing; else empty."""
    cause: str
    mend: str
    notebook: str
    """The file name of the notebook."""
    heading: str
    """The heading that the cell stands under."""

    @property
    def link(self) -> str:
        """The place, as a link in Markdown that works inside the folder of the notebooks."""
        anchor = re.sub(r"[`*]", "", self.heading).replace(" ", "-")
        return f"[{self.place}]({self.notebook}#{anchor})"

    @property
    def place(self) -> str:
        """The place, such as "04, Which line fails?"."""
        return f"{self.notebook[:2]}, {self.heading}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the index knows about an error; empty `entries` mean that it knows nothing."""

    error: str
    entries: tuple[Entry, ...]

    def __repr__(self) -> str:
        blocks = [f"{e.text}\n  why:     {e.cause}\n  way out: {e.mend}\n  lesson:  {e.place}" for e in self.entries]
        return "\n\n".join(blocks) or self._unknown("errors.md")

    def _repr_markdown_(self) -> str:
        lines = [
            f"**{as_code(e.text)}**\n\n- why: {e.cause}\n- way out: {e.mend}\n- lesson: {e.link}" for e in self.entries
        ]
        return "\n\n".join(lines) or self._unknown("[errors.md](errors.md)")

    def _unknown(self, index: str) -> str:
        first = self.error.strip().partition("\n")[0]
        return f"The course does not know this error: {first[:120]!r}.\nLook for a shorter part of it in {index}."


def explain(error: BaseException | str) -> Explanation:
    """Find the lesson on an error.

    Args:
        error: an exception that you have caught, such as a `grpc.RpcError`, or text that you paste: a message, a
            traceback, a log.

    Returns:
        The entries of the index whose text the error holds, the most specific first; at most three. If there is none,
        the explanation says so. Numbers, upper and lower case and line breaks may differ from the index, and an "…" in
        an entry stands for anything on the line. What an entry says is left out where a longer one says it, too.

    Raises:
        FileNotFoundError: the folder of the notebooks, which holds the index, is not beside teams_lib.

    Example:
        >>> explain("RuntimeError: asyncio.run() cannot be called from a running event loop").entries[0].id
        'running-loop'
        >>> explain("no such thing")
        The course does not know this error: 'no such thing'.
        Look for a shorter part of it in errors.md.
    """
    # On Windows gRPC has other words for the same end.
    text = _text_of(error).replace("End of TCP stream", "Socket closed")
    found: dict[str, Entry] = {}
    for entry in read_index():
        if entry.text and _pattern(entry.text).search(text):
            found.setdefault(entry.text, entry)  # the first notebook that shows it
    told: list[tuple[int, int]] = []  # the parts of the text that an entry explains
    entries = []
    for entry in sorted(found.values(), key=lambda entry: -len(entry.text)):
        spans = [match.span() for match in _pattern(entry.text).finditer(text)]
        if not all(any(first <= start and end <= last for first, last in told) for start, end in spans):
            entries.append(entry)
        told += spans
    return Explanation(text, tuple(entries[:MOST]))


@cache
def read_index(folder: Path = NOTEBOOKS) -> tuple[Entry, ...]:
    """Read the entries of all notebooks, in the order of the series.

    Raises:
        FileNotFoundError: there is no notebook in the folder.
        ValueError: an entry lacks something, or says both what the error says and that it says nothing.
    """
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise FileNotFoundError(f"No notebooks in {folder}: explain() finds its index there, beside teams_lib.")
    return tuple(entry for path in paths for entry in _entries(path))


def _entries(path: Path) -> list[Entry]:
    heading, entries = "", []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            found = re.findall(
                r"^#+ (.+)$", re.sub(r"^```.*?^```", "", "".join(cell["source"]), flags=re.M | re.S), re.M
            )
            heading = found[-1] if found else heading
        for item in cell["metadata"].get("trouble", []):
            entries.append(_entry(item, path.name, heading))
    return entries


def _entry(item: dict[str, Any], notebook: str, heading: str) -> Entry:
    says = [key for key in ("text", "symptom") if item.get(key)]
    if len(says) != 1 or not all(item.get(key) for key in ("id", "cause", "mend")):
        raise ValueError(f"{notebook}: an entry of `trouble` has an id, a text or a symptom, a cause, a mend: {item}")
    return Entry(
        item["id"],
        item.get("text", ""),
        item.get("symptom", ""),
        item["cause"],
        item["mend"],
        notebook,
        heading.strip(),
    )


def _text_of(error: BaseException | str) -> str:
    if isinstance(error, str):
        return error
    parts = [f"{type(error).__name__}: {error}"]
    # What an RpcError adds; some have only a part of it. Not debug_error_string, which says the same, and which waits
    # for ever on a stream that its own client has ended.
    for name in ("code", "details"):
        method = getattr(error, name, None)
        if callable(method):
            parts.append(str(method()))
    return "\n".join(parts)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """The text, whatever its numbers, its case and its line breaks."""
    pattern = re.sub(r"\d+", r"\\d+", re.escape(" ".join(text.split()))).replace("…", ".*?")
    return re.compile(pattern.replace(r"\ ", r"\s+"), re.IGNORECASE)


def as_code(text: str) -> str:
    """The text as code in Markdown, on one line, also inside a table."""
    text = " ".join(text.split()).replace("|", r"\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`" if text else ""
