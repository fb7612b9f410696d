"""Run the course on newer packages, and tell what they change: ``python -m tools.update [--report FILE] [--lift]``.

``make update`` pins the newest releases that pyproject.toml allows, installs them and comes here; ``make newest`` first
lifts the limits in pyproject.toml with ``--lift``. What is compared against is the last commit.
"""

import argparse
import difflib
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools import refresh, series

import nbformat
from nbformat import NotebookNode
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ALL_PINS: Final = "tools/requirements.txt"  # those of learners, too
PROJECT: Final = series.ROOT / "pyproject.toml"
LIMITED: Final = re.compile(r'^( {4}"[\w.-]+(?:\[[\w,]+\])?)(?:==|>=)([\w.]+)(?:,<[\w.]+)?(?=[";])', re.MULTILINE)


@dataclass(frozen=True)
class Change:
    """A cell that shows something else than before."""

    notebook: str
    position: int
    """Of the cell in the notebook, from 1, as ``make refresh`` counts."""
    before: str
    after: str


def main(arguments: list[str] | None = None) -> int:
    """Refresh all notebooks and report; return 1 if one breaks, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tools.update", description="Tell what newer packages change.")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the report into this file, too")
    parser.add_argument("--lift", action="store_true", help="only lift the upper limits in pyproject.toml")
    options = parser.parse_args(arguments)
    if options.lift:
        PROJECT.write_text(lift(PROJECT.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
        return 0
    packages = moved(*(pins(read(ALL_PINS)) for read in (_committed, _current)))
    try:
        broken = refresh.refresh().broken
    except series.SeriesError as error:
        print(error, file=sys.stderr)
        return 1
    changes = [change for path in sorted(series.NOTEBOOKS.glob("*.ipynb")) for change in _changes(path)]
    text = report(packages, changes, broken, _held_back())
    print(text)
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(text, encoding="utf-8", newline="\n")
    return int(bool(broken))


def lift(project: str) -> str:
    """Return the text of pyproject.toml with every ``==1.2`` and ``>=1.2,<2`` of a dependency made ``>=1.2``."""
    return LIMITED.sub(r"\1>=\2", project)


def pins(requirements: str) -> dict[str, str]:
    """Read the text of a requirements file: a package's name, with its marker if it has one, to its version."""
    return {f"{name}{marker}": version for name, version, marker in map(_pin, requirements.splitlines())}


def _pin(line: str) -> tuple[str, str, str]:
    requirement = Requirement(line)
    return requirement.name, str(requirement.specifier)[2:], f" ({requirement.marker})" if requirement.marker else ""


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The packages whose version differs: name, version before, version after; "" where there was or is none."""
    names = sorted(before.keys() | after.keys())
    found = [(name, before.get(name, ""), after.get(name, "")) for name in names]
    return [each for each in found if each[1] != each[2]]


def _committed(name: str) -> str:
    """The text of a file in the last commit; git says itself what is wrong."""
    command = ["git", "show", f"HEAD:{name}"]
    return subprocess.run(command, cwd=series.ROOT, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout


def _current(name: str) -> str:
    return (series.ROOT / name).read_text(encoding="utf-8")


def _changes(path: Path) -> list[Change]:
    before = nbformat.v4.reads(_committed(path.relative_to(series.ROOT).as_posix()))
    return changes(path.name, before, series.load(path))


def changes(name: str, before: NotebookNode, after: NotebookNode) -> list[Change]:
    """Compare what the cells of a notebook show; only outputs may differ between the two."""
    pairs = enumerate(zip(before.cells, after.cells, strict=True), start=1)
    shown = [(position, shows(old), shows(new)) for position, (old, new) in pairs]
    return [Change(name, position, old, new) for position, old, new in shown if old != new]


def shows(cell: NotebookNode) -> str:
    """What a cell shows, as text: of everything that is no text its type and a digest."""
    parts = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            parts.append(output.text)
        elif output.output_type == "error":
            parts.append("\n".join(output.traceback))
        else:
            parts += [_shown(mime, data) for mime, data in sorted(output.data.items(), reverse=True)]
    return "\n".join(part.rstrip("\n") for part in parts)


def _shown(mime: str, data: object) -> str:
    if mime == "text/plain":
        return str(data)
    return f"[{mime} {hashlib.sha256(str(data).encode()).hexdigest()[:8]}]"


def _held_back() -> list[tuple[str, str, str]]:
    """What pyproject.toml keeps from its newest release: the requirement, the version installed, the newest."""
    command = [sys.executable, "-m", "uv", "pip", "list", "--outdated", "--format", "json", "--python", sys.executable]
    listed = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=False)
    if listed.returncode:  # uv has said why
        return []
    newest = {canonicalize_name(each["name"]): each for each in json.loads(listed.stdout)}
    wanted = requirements(PROJECT.read_text(encoding="utf-8"))
    names = [(canonicalize_name(requirement.name), requirement) for requirement in wanted]
    held = [(str(requirement), newest[name]) for name, requirement in names if name in newest]
    return [(requirement, each["version"], each["latest_version"]) for requirement, each in held]


def requirements(project: str) -> list[Requirement]:
    """Read the requirements of pyproject.toml, those of learners first."""
    table = tomllib.loads(project)
    groups = [table["project"]["dependencies"], *table["dependency-groups"].values()]
    return [Requirement(line) for group in groups for line in group if isinstance(line, str)]


def report(
    packages: list[tuple[str, str, str]],
    changes: list[Change],
    broken: Mapping[str, str],
    held: list[tuple[str, str, str]],
) -> str:
    """Write down, in Markdown, what the new versions change, and the way back."""
    parts = ["# What the newer packages change"]
    parts += _table("## Packages that moved", ("Package", "Before", "After"), packages)
    parts += _table("## Held back by pyproject.toml", ("It says", "Installed", "Newest"), held)
    if broken:
        parts += ["## Notebooks that break", *(_block(name, text) for name, text in broken.items())]
    if changes:
        parts += ["## Cells that show something else"]
        parts += [_block(f"{each.notebook}, cell {each.position}", _diff(each), "diff") for each in changes]
    if not (packages or broken or changes):
        parts += ["Nothing: every package is the newest that pyproject.toml allows, and every output is the same."]
    else:
        parts += [
            "## The way on, and the way back",
            "Read `git diff`. If all is well, `make check test`, and commit. If not, this goes back:",
            "    git restore requirements.txt tools/requirements.txt notebooks && make tools",
        ]
    return "\n\n".join(parts) + "\n"


def _table(title: str, head: tuple[str, ...], rows: list[tuple[str, str, str]]) -> list[str]:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]
    return [title, "\n".join(lines)] if rows else []


def _block(title: str, text: str, language: str = "") -> str:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"**{title}**\n\n{fence}{language}\n{text}\n{fence}"


def _diff(change: Change) -> str:
    lines = difflib.unified_diff(change.before.splitlines(), change.after.splitlines(), lineterm="", n=1)
    return "\n".join(list(lines)[2:])  # without the names of the files


if __name__ == "__main__":
    sys.exit(main())
