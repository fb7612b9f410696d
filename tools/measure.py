"""How long a learner waits for the first call, and the suite for its cells.

    python -m tools.measure [first] [suite]

``first``: from a fresh clone of this checkout's last commit to the output of the first call, in a browser.
``suite``: every notebook as ``pytest --nbval`` runs it, against the floor: as many trivial cells in as many notebooks.
Rounds of both take turns; the medians are printed, and only their ratios mean anything on a machine that does other
things, too. Nothing is kept.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NamedTuple

from tools import lab, series
from tools.browser import NoBrowserError, chromium

import nbformat
import pytest
from playwright.sync_api import Error as PlaywrightError

SECONDS_TO_INSTALL: Final = 1200
SECONDS_TO_ANSWER: Final = 120
FIRST: Final = "notebooks/00_start_here.ipynb"


class MeasureError(RuntimeError):
    """What was to be measured did not run; the message says what, and holds its last words."""


# --- to the first call ------------------------------------------------------------------------------------------------


class Steps:
    """Prints what each step took."""

    def __init__(self) -> None:
        self.begun = self.last = time.monotonic()

    def done(self, what: str) -> None:
        """Print the seconds since the step before."""
        now = time.monotonic()
        print(f"{now - self.last:8.1f} s  {what}", flush=True)
        self.last = now


def measure_first_call(cold: bool) -> None:
    """Print the seconds from ``git clone`` to the output of the first call.

    Args:
        cold: install without pip's cache.

    Raises:
        MeasureError: a step failed.
        NoBrowserError: there is no browser; the steps before it have been printed.
    """
    print(f"To the first call, pip's cache {'not used' if cold else 'as you have it'}:")
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        checkout, home = Path(folder, "course"), Path(folder, "home")
        environment = lab.environment(checkout, home) | ({"PIP_NO_CACHE_DIR": "1"} if cold else {})
        del environment["PYTHONPATH"]  # the clone is installed
        # What `make lab` asks of the machine, not of the learner: no window, a container's root, the port that is free.
        settings = {"ServerApp": {"allow_root": True, "open_browser": False}, "LabApp": {"open_browser": False}}
        (home / "config").mkdir(parents=True)
        (home / "config" / "jupyter_server_config.json").write_text(json.dumps(settings), encoding="utf-8")
        steps = Steps()
        _run(["git", "clone", "--quiet", os.fspath(series.ROOT), os.fspath(checkout)], environment)
        steps.done("git clone")
        _run(["make", "-C", os.fspath(checkout), "venv", f"PYTHON={sys.executable}"], environment)
        steps.done("make lab installs")
        with _lab(checkout, home, environment) as address:
            steps.done("JupyterLab answers")
            with chromium() as browser:
                steps.last = time.monotonic()  # a learner's browser runs already
                page = browser.new_page()
                page.set_default_timeout(SECONDS_TO_ANSWER * 1000)
                page.goto(address)
                cell = page.locator(".jp-CodeCell").first
                cell.locator(".cm-content").click()
                steps.done("the first notebook is open")
                page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", state="attached")
                steps.done("its kernel is ready")
                cell.locator(".jp-OutputArea-output").evaluate_all("all => all.forEach(one => one.dataset.stored = 1)")
                page.keyboard.press("Shift+Enter")
                cell.locator(".jp-OutputArea-output:not([data-stored])", has_text="Revolutionaries").wait_for()
                steps.done("the first call is answered")
        print(f"{steps.last - steps.begun:8.1f} s  in all")


def _run(command: list[str], environment: dict[str, str]) -> None:
    try:
        subprocess.run(
            command,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=SECONDS_TO_INSTALL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise MeasureError(
            f"{' '.join(command)} failed: {error}\n{(getattr(error, 'output', '') or '')[-2000:]}"
        ) from None


@contextmanager
def _lab(checkout: Path, home: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run ``make lab``, and yield the address of the first notebook."""
    log = home / "lab.log"
    command = ["make", "-C", os.fspath(checkout), "lab"]
    with log.open("w", encoding="utf-8") as output:
        make = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
        try:
            yield _address(make, home / "runtime", log)
        finally:
            os.killpg(make.pid, signal.SIGTERM)  # make, JupyterLab, which ends its kernels
            try:
                make.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(make.pid, signal.SIGKILL)
                make.wait()


def _address(make: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while time.monotonic() < deadline and make.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(urllib.error.URLError, OSError, ValueError):
                server = json.loads(file.read_text(encoding="utf-8"))
                opener.open(f"{server['url']}api/status?token={server['token']}", timeout=5).close()
                return f"{server['url']}lab/tree/{FIRST}?token={server['token']}"
        time.sleep(0.05)
    raise MeasureError(f"JupyterLab did not answer:\n{log.read_text(encoding='utf-8')[-2000:]}")


# --- the suite against its floor --------------------------------------------------------------------------------------


class Took(NamedTuple):
    """Seconds."""

    wall: float
    computing: float
    """Of the processor's time: by pytest, by the kernel, and by what the kernel starts."""

    @property
    def waiting(self) -> float:
        """When nothing of it computed; on a busy machine it waits for the processor, too."""
        return max(0.0, self.wall - self.computing)


class Stopwatch:
    """A plugin for pytest that adds up what the tests of each file take, with one kernel at a time."""

    def __init__(self) -> None:
        self.files: dict[str, Took] = defaultdict(lambda: Took(0, 0))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Add one test; the last one of a notebook ends its kernel."""
        before = self._now()
        try:
            return (yield)
        finally:
            spent = (after - start for after, start in zip(self._now(), before, strict=True))
            self.files[item.path.name] = Took(*map(sum, zip(self.files[item.path.name], spent, strict=True)))

    @staticmethod
    def _now() -> Took:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
        return Took(time.monotonic(), sum(each.ru_utime + each.ru_stime for each in used))


def run_pytest(arguments: list[str]) -> tuple[float, dict[str, Took]]:
    """Run pytest in this process; return the seconds that it took, and by file where it ran in one process."""
    stopwatch, words = Stopwatch(), io.StringIO()
    begun = time.monotonic()
    with contextlib.redirect_stdout(words):
        status = pytest.main(["--nbval", "-q", "-p", "no:cacheprovider", *arguments], plugins=[stopwatch])
    if status != pytest.ExitCode.OK:
        raise MeasureError(f"pytest {' '.join(arguments)} failed:\n{words.getvalue()[-2000:]}")
    return time.monotonic() - begun, dict(stopwatch.files)


def in_fresh_process(arguments: list[str]) -> tuple[float, dict[str, Took]]:
    """Run pytest in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(run_pytest, arguments).result()


def write_floor(folder: Path) -> dict[str, int]:
    """Write a notebook of trivial cells for each of the course, with as many; return how many each has."""
    counts = {}
    for entry in series.read_series():
        count = sum(cell.cell_type == "code" for cell in series.load(entry.path).cells)
        numbers = range(1, count + 1)
        results = [
            nbformat.v4.new_output("execute_result", {"text/plain": str(number)}, execution_count=number)
            for number in numbers
        ]
        notebook = nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_code_cell(str(number), execution_count=number, outputs=[result])
                for number, result in zip(numbers, results, strict=True)
            ]
        )
        (folder / entry.path.name).write_text(series.dump(notebook), encoding="utf-8")
        counts[entry.path.name] = count
    return counts


def measure_suite(rounds: int) -> None:
    """Print what the notebooks take against the floor, one by one and on two workers, and everything once.

    Raises:
        MeasureError: a test failed.
    """
    with tempfile.TemporaryDirectory(prefix="floor-") as folder:
        counts = write_floor(Path(folder))
        course = os.fspath(series.NOTEBOOKS)
        floor = ["--rootdir", os.fspath(series.ROOT), "-c", os.fspath(series.ROOT / "pyproject.toml"), folder]
        runs = {
            (what, workers): [*arguments, "-n", str(workers)]
            for workers in (0, 2)
            for what, arguments in (("course", [course]), ("floor", floor))
        }
        found = defaultdict(list)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            for key, arguments in runs.items():
                found[key].append(in_fresh_process(arguments))
    print(f"\n{'':31}  cells | seconds  floor  ratio | computing  floor  ratio | waiting")
    for name, count in counts.items():
        took, floor_took = ([files[name] for _, files in found[what, 0]] for what in ("course", "floor"))
        wall, computing = (statistics.median(column) for column in zip(*took, strict=True))
        least_wall, least = (statistics.median(column) for column in zip(*floor_took, strict=True))
        waiting = statistics.median(each.waiting for each in took)
        print(
            f"{name.removesuffix('.ipynb'):31}  {count:5} | {wall:7.1f}  {least_wall:5.1f}  {wall / least_wall:5.1f} |"
            f" {computing:9.1f}  {least:5.1f}  {computing / least:5.1f} | {waiting:7.1f}"
        )
    for workers, how in ((0, "one by one"), (2, "-n 2")):
        wall, least = (statistics.median(wall for wall, _ in found[what, workers]) for what in ("course", "floor"))
        print(f"All notebooks, {how}: {wall:.1f} s; the floor: {least:.1f} s; ratio {wall / least:.2f}")
    whole, _ = in_fresh_process(["-n", "2"])
    print(f"All tests and notebooks, -n 2: {whole:.1f} s")


def main(arguments: list[str] | None = None) -> int:
    """Measure the way to the first call, and the suite; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.measure", description=main.__doc__)
    parser.add_argument("what", nargs="*", help="first, suite (default: both)")
    parser.add_argument("--cold", action="store_true", help="install without pip's cache")
    parser.add_argument("--rounds", type=int, default=3, help="how often the suite is measured (default: %(default)s)")
    options = parser.parse_args(arguments)
    if wrong := set(options.what) - {"first", "suite"}:
        parser.error(f"there is nothing to measure by the name of {', '.join(sorted(wrong))}: first, suite")
    os.chdir(series.ROOT)
    try:
        if "first" in options.what or not options.what:
            try:
                measure_first_call(options.cold)
            except NoBrowserError as error:
                print(f"The rest is not measured: {error}")
        if "suite" in options.what or not options.what:
            measure_suite(options.rounds)
    except (MeasureError, PlaywrightError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
