"""A class on one machine: eight kernels at once, in different notebooks and in the same one.

Run it with ``-s`` to see what a kernel takes.
"""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.learners import WITNESS, Visit, right_answers, work_through
from tools import lab, refresh

import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel
from nbformat import NotebookNode

# Those that wait, measure, and start and stop the most.
pytestmark = pytest.mark.long

DIFFERENT = ("05", "07", "08", "10", "11", "12", "13", "14")
SAME = "03"  # servers that come back on the ports that they had, and one in a process of its own


class Neighbours:
    """Looks for connections between the kernels of this process.

    A connection is seen if it lives while somebody looks. Channels live until they are closed.
    """

    def __init__(self) -> None:
        self.ends: set[str] = set()
        """Both ends of each, as gRPC writes them: "ipv4:127.0.0.1:41234"."""

    def look(self) -> None:
        """Look once, at all kernels and the processes that they have started."""
        kernel_of: dict[tuple[Any, Any], int] = {}
        for kernel in psutil.Process().children():
            with suppress(psutil.Error):  # it has ended meanwhile
                if "ipykernel_launcher" in kernel.cmdline():
                    for process in (kernel, *kernel.children(recursive=True)):
                        lines = process.net_connections("tcp")
                        kernel_of.update({(line.laddr, line.raddr): kernel.pid for line in lines if line.raddr})
        for (here, there), kernel_id in kernel_of.items():
            if kernel_of.get((there, here), kernel_id) != kernel_id:
                self.ends.add(f"ipv4:{here.ip.removeprefix('::ffff:')}:{here.port}")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look ten times a second until the block ends."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                self.look()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def learn(numbers: tuple[str, ...], course: Path, folder: Path, **environment: str) -> list[Visit]:
    """Run a notebook in each of so many kernels at once, and see that no server answers a call of another kernel.

    A channel whose server is gone may well connect to a neighbour that has got the same port. That alone does no harm.
    """

    def execute(notebook: NotebookNode) -> None:
        refresh.execute(notebook, folder, {"PYTHONPATH": os.fspath(course), **environment})

    neighbours = Neighbours()
    with neighbours.watched(), ThreadPoolExecutor(len(numbers)) as kernels:
        visits = list(kernels.map(work_through, numbers, [execute] * len(numbers)))
    assert [visit.peers & neighbours.ends for visit in visits] == [set()] * len(visits)
    assert all(visit.peers for visit in visits)
    assert [visit.changed for visit in visits] == [[]] * len(visits)
    sizes = (f"{number}: {visit.mebibytes:.0f}" for number, visit in zip(numbers, visits, strict=True))
    print(f"\nMiB that a kernel has for itself at the end of a notebook: {', '.join(sizes)}")
    return visits


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A copy of the course at a path with spaces."""
    return lab.copy_course(tmp_path / "a folder with spaces")


def test_eight_different_notebooks_at_once_show_what_is_stored_and_accept_the_solutions(
    course: Path, tmp_path: Path
) -> None:
    visits = learn(DIFFERENT, course, course / "notebooks", TEAMS_PROGRESS_DIR=os.fspath(tmp_path))
    answers = {name: shown for visit in visits for name, shown in visit.answers.items()}
    assert answers == {name: shown for number in DIFFERENT for name, shown in right_answers(number).items()}
    # They had one progress file: none overwrote what another one had saved.
    assert json.loads((tmp_path / "progress.json").read_text(encoding="utf-8")) == {"solved": sorted(answers)}


def test_one_notebook_in_eight_kernels_shows_what_is_stored_and_accepts_the_solutions(
    course: Path, tmp_path: Path
) -> None:
    visits = learn((SAME,) * 8, course, tmp_path)  # the kernels start in another folder than the notebook's
    assert [visit.answers for visit in visits] == [right_answers(SAME)] * 8


def run(client: BlockingKernelClient, code: str) -> str:
    """Run code in a kernel, and return what it prints."""
    printed = []
    reply = client.execute_interactive(
        code, timeout=60, output_hook=lambda message: printed.append(message["content"].get("text", ""))
    )
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(printed)


def test_a_call_that_another_kernel_answers_would_be_seen() -> None:
    kernels = [start_new_kernel(kernel_name="python3", stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        (_, one), (_, other) = kernels
        serve = "from teams_lib import *\nserver = BackgroundServer(TeamsServicer()).start()"
        address = run(one, f"{WITNESS}\n{serve}\nprint(server.address)").strip()
        connect = "import grpc\nfrom teams_lib import *\nstub = teams_pb2_grpc.TeamsStub(grpc.insecure_channel({!r}))"
        call = "_ = stub.GetTeam(teams_pb2.TeamRequest(), timeout=30, wait_for_ready=True)"
        neighbours = Neighbours()
        for kernel, strangers in ((one, 0), (other, 1)):
            run(kernel, f"{connect.format(address)}\n{call}")
            neighbours.look()
            peers = set(json.loads(run(one, "import json\nprint(json.dumps(list(PEERS)))")))
            assert len(peers & neighbours.ends) == strangers
    finally:
        for manager, client in kernels:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
