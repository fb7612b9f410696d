"""A copy of this checkout, for tests of the tools that change it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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
