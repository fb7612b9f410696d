"""A copy of this checkout, for tests of the tools that change it, and its Makefile."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.needs import missing

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = (".git", ".venv", "build", "node_modules", "__pycache__", ".ipynb_checkpoints", ".*_cache", ".hypothesis")


def copy(folder: Path) -> Path:
    """Copy what git keeps of this checkout, and what it does not keep yet, into a folder, and return the folder."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT), dirs_exist_ok=True)
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a module of a copy, as ``python -m`` does, with the copy's own teams_lib in the kernels, too."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    variables = {**inherited, "PYTHONPATH": os.fspath(folder), "PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder, env=variables, capture_output=True, encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip


def make(*arguments: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run this checkout's Makefile in a folder, as if the tests did not run below another make."""
    if sys.platform == "win32" or not shutil.which("make"):
        missing("make is not installed")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", "--no-print-directory", "-f", os.fspath(ROOT / "Makefile"), *arguments],
        cwd=folder, env=inherited | variables, capture_output=True, encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip
