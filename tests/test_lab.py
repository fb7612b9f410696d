"""JupyterLab, as README and ``make lab`` start it."""

import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tools import lab

ROOT = Path(__file__).parent.parent


def command_in(file: str) -> str:
    found = re.search(r"jupyter lab .*\.ipynb$", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[0]


def served(runtime: Path) -> Path | None:
    """The folder that a running JupyterLab serves, once it has written so."""
    for file in runtime.glob("jpserver-*.json"):
        with suppress(ValueError):  # half written
            return Path(json.loads(file.read_text(encoding="utf-8"))["root_dir"])
    return None


def test_readme_and_make_start_it_alike() -> None:
    written = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\", "/")
    ways = re.findall(r"jupyter lab .*\.ipynb$", written, re.MULTILINE)
    assert ways == [command_in("Makefile")] * 2  # with conda, and on Windows


def test_it_serves_the_whole_checkout(tmp_path: Path) -> None:
    # Notebooks link to files beside their folder, and JupyterLab opens only what is below its root.
    runtime = tmp_path / "runtime"
    options = ["--allow-root", "--ServerApp.open_browser=False", f"--port={lab.free_port()}"]
    with subprocess.Popen(
        [sys.executable, "-m", *command_in("Makefile").split(), *options],
        cwd=ROOT,
        env=lab.environment(ROOT, tmp_path),
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            deadline = time.monotonic() + lab.SECONDS_TO_START
            while not (folder := served(runtime)) and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            process.terminate()
    assert folder == ROOT
