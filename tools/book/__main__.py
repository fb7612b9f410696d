"""Build the book, and say where to open it."""

import argparse
import sys
from pathlib import Path

from tools import book


def main() -> int:
    """Build into the folder that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.book", description="Build the course as a static site.")
    parser.add_argument("folder", nargs="?", type=Path, default=book.TARGET, help="where to (default: build/book)")
    target: Path = parser.parse_args().folder.resolve()
    try:
        status = book.build(target)
    except book.NoBookError as error:
        print(error, file=sys.stderr)
        return 1
    if not status:
        print(f"Open {target / 'index.html'} in a browser.")
        print(f"Served, its search shows excerpts, too: python -m http.server -b 127.0.0.1 -d {target}")
    return status


sys.exit(main())
