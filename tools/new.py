"""Begin a notebook: ``python -m tools.new NN name "Its title"`` writes it, its exercises and wrong answers to them.

All three come from tools/template/, where NN, NUMBER and TITLE stand for what is given. The tests pass with them, so
they can be written over one section at a time.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Final

from tools import series

import jupytext  # type: ignore[import-untyped]

TEMPLATE: Final = series.ROOT / "tools" / "template"
NAME: Final = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
TITLE: Final = re.compile(r"\w[^\"\\\n]*")
PLACEHOLDER: Final = re.compile(r"(?<![A-Z])(?:NN|NUMBER|TITLE)(?![A-Z])")
MINUTES: Final = 30


def main(arguments: list[str] | None = None) -> int:
    """Write the files of a new notebook; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.new", description="Begin a notebook from the template.")
    parser.add_argument("number", metavar="NN", help="the next free number, such as 15")
    parser.add_argument("name", help="a few words in snake_case, such as security")
    parser.add_argument("title", help='such as "Keep strangers out"')
    options = parser.parse_args(arguments)
    try:
        files = new_files(options.number, options.name, options.title)
    except series.SeriesError as error:
        print(error, file=sys.stderr)
        return 1
    for path, text in files.items():
        path.write_text(text, encoding="utf-8", newline="\n")
        print(path.relative_to(series.ROOT).as_posix())
    print(f"Now run: make refresh NB={options.number}. CONTRIBUTING.md goes on from there.")
    return 0


def new_files(number: str, name: str, title: str) -> dict[Path, str]:
    """Return the files of a new notebook, path to text, with nothing written yet.

    Args:
        number: its place in the series, such as ``"15"``; the series has no gaps.
        name: what follows the number in the file's name.
        title: its H1.

    Raises:
        SeriesError: the number, the name or the title won't do, or a file is there already.
    """
    entries = series.read_series()
    following = len(entries)
    if not re.fullmatch(r"[0-9]{1,2}", number) or int(number) != following:
        taken = [entry.path.name for entry in entries if number and f"{entry.number:02}" == number.zfill(2)]
        reason = f"{taken[0]} has that number" if taken else "the series has no gaps"
        raise series.SeriesError(
            f"NB={number} won't do: {reason}. The next number is {following:02}: NB={following:02}"
        )
    if not NAME.fullmatch(name):
        raise series.SeriesError(
            f"NAME={name} won't do: write small letters, digits and single underscores: NAME=security"
        )
    if not TITLE.fullmatch(title):
        raise series.SeriesError(
            f"TITLE={title!r} won't do: write one line that begins with a letter, without \" or \\: "
            "TITLE='Keep strangers out'"
        )
    paths = {
        "notebook.md": series.NOTEBOOKS / f"{following:02}_{name}.ipynb",
        "exercises.py": series.ROOT / "teams_lib" / "exercises" / f"nb{following:02}.py",
        "wrong_answers.py": series.ROOT / "tests" / "wrong_answers" / f"nb{following:02}.py",
    }
    if there := [path.relative_to(series.ROOT).as_posix() for path in paths.values() if path.exists()]:
        raise series.SeriesError(f"{there[0]} is there already: move it away first")
    texts = {path: _fill(TEMPLATE / source, following, title) for source, path in paths.items()}
    notebook = paths["notebook.md"]
    texts[notebook] = _notebook(texts[notebook], part=entries[-1].part)
    return texts


def _fill(template: Path, number: int, title: str) -> str:
    given = {"NN": f"{number:02}", "NUMBER": str(number), "TITLE": title}
    return PLACEHOLDER.sub(lambda found: given[found[0]], template.read_text(encoding="utf-8"))


def _notebook(markdown: str, part: int) -> str:
    notebook = jupytext.reads(markdown, fmt="md")
    about = "Say here what a reader does, in one line that begins with a verb"
    notebook.metadata = {"course": {"part": part, "minutes": MINUTES, "about": about}}
    return series.dump(notebook)


if __name__ == "__main__":
    sys.exit(main())
