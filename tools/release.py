"""Make the files of a release: ``python -m tools.release v1.2.3``, the tag of the version that pyproject.toml has.

Into build/release/ go the course as a zip file, as it stands in the last commit, the book as another, and notes.md:
what CHANGELOG.md says of the version.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

from tools import series

CHANGELOG: Final = series.ROOT / "CHANGELOG.md"
BUILD: Final = series.ROOT / "build"


class ReleaseError(ValueError):
    """The version, its tag and CHANGELOG.md don't fit together, the book has not been built, or a commit is missing."""


def main(arguments: list[str] | None = None) -> int:
    """Make the files; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description="Make the files of a release.")
    parser.add_argument("tag", help="the tag of the release, such as v1.2.3")
    try:
        files = make(parser.parse_args(arguments).tag)
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(path.relative_to(series.ROOT).as_posix() for path in files))
    return 0


def version() -> str:
    """Return the version of the course; pyproject.toml is where it stands."""
    project = tomllib.loads((series.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def notes(changelog: str, version: str) -> str:
    """Return what CHANGELOG.md says of a version, without its heading.

    Raises:
        ReleaseError: it has no section of the version, with a date, or nothing in it.
    """
    section = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)"
    found = re.search(section, changelog, re.DOTALL | re.MULTILINE)
    if found is None or not found[1].strip():
        raise ReleaseError(
            f"CHANGELOG.md: write what version {version} brings, under '## [{version}] - year-month-day'"
        )
    return found[1].strip() + "\n"


def make(tag: str) -> list[Path]:
    """Make the files of the release with this tag, and return their paths.

    Raises:
        ReleaseError: the tag is not that of the version, CHANGELOG.md says nothing of it, there is no book, or a
            change is not committed.
    """
    number = version()
    if tag != f"v{number}":
        raise ReleaseError(f"pyproject.toml has version {number}, whose tag is v{number}, not {tag or 'none'}")
    text = notes(CHANGELOG.read_text(encoding="utf-8"), number)
    book = BUILD / "book"
    if not (book / "index.html").exists():
        raise ReleaseError("there is no book in build/book: run `make book`")
    diff = ["git", "diff", "--name-only", "HEAD"]  # the book is made of files as they stand, the archive of the commit
    changed = subprocess.run(
        diff, cwd=series.ROOT, check=True, capture_output=True, encoding="utf-8"
    ).stdout.splitlines()
    if changed:
        raise ReleaseError(f"commit first what has changed: {', '.join(changed)}")
    folder = BUILD / "release"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    course, name = folder / f"grpc-course-{number}.zip", f"grpc-course-{number}-book"
    archive = ["git", "archive", f"--prefix=grpc-course-{number}/", f"--output={course}", "HEAD"]
    subprocess.run(archive, cwd=series.ROOT, check=True)
    packed = Path(shutil.make_archive(str(folder / name), "zip", root_dir=BUILD, base_dir="book"))
    (folder / "notes.md").write_text(text, encoding="utf-8", newline="\n")
    return [course, packed, folder / "notes.md"]


if __name__ == "__main__":
    sys.exit(main())
