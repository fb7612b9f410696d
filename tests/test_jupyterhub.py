"""A class on JupyterHub, with the configuration that instructors start from: tools/jupyterhub_config.py.

A real hub behind its real proxy; learners log in as a browser does, and run notebooks through Jupyter's own protocol.
"""

from __future__ import annotations

import json
import os
import random
import runpy
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from tests import checkout
from tests.learners import notebook_path, right_answers, work_through
from tests.needs import missing, need_module
from tools import lab, series

import nbformat
import psutil
import pytest
import requests
import websocket
from nbformat import NotebookNode
from traitlets.config import Config

CONFIG = series.ROOT / "tools" / "jupyterhub_config.py"
PROXY = series.ROOT / ".venv" / "hub" / "node_modules" / ".bin" / "configurable-http-proxy"
PASSWORD = "ten teams and a ball"
NAMES = ("ada", "grace", "radia")
SECONDS = 120  # for any one step, on a busy machine


COMMAND = [sys.executable, "-m", "jupyterhub", "-f", os.fspath(CONFIG)]


def quiet_ports() -> int:
    """The first of three free ports, below those that the system hands out: no test running beside this takes them."""
    while True:
        port = random.randrange(20_000, 30_000)
        with suppress(OSError), ExitStack() as sockets:
            for number in range(port, port + 3):
                sockets.enter_context(socket.create_server(("127.0.0.1", number)))
            return port


class Hub:
    """A JupyterHub of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        port = quiet_ports()
        self.address = f"http://127.0.0.1:{port}"
        self.log = folder / "hub.log"
        self.settings = {"CLASS_PASSWORD": PASSWORD, "CLASS_FOLDER": f"{folder / 'class'}", "CLASS_PORT": f"{port}"}
        command = [*COMMAND, f"--JupyterHub.bind_url={self.address}"]  # for nobody outside
        with self.log.open("w", encoding="utf-8") as output:
            environment = {**os.environ, **self.settings}
            self.process = psutil.Popen(command, stdout=output, stderr=output, cwd=folder, env=environment)

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(requests.ConnectionError):
                if Learner(self, "nobody").session.get(f"{self.address}/hub/api").ok:
                    return
            time.sleep(0.1)
        pytest.fail(f"JupyterHub did not start:\n{self.log.read_text(encoding='utf-8')[-4000:]}")

    def started(self) -> list[psutil.Process]:
        """The proxy, the learners' servers, and their kernels."""
        found: list[psutil.Process] = self.process.children(recursive=True)
        return found

    def stop(self) -> list[psutil.Process]:
        """End the hub as a system does, and return what it has left running, which is then killed."""
        started = self.started()
        self.process.terminate()
        self.process.wait(SECONDS)
        _, left = psutil.wait_procs(started, timeout=10)
        for process in left:
            process.kill()
        return left


class Learner:
    """Somebody with a browser, who has logged in or not."""

    def __init__(self, hub: Hub, name: str) -> None:
        self.hub, self.name = hub, name
        self.session = requests.Session()
        self.session.trust_env = False  # a proxy has no business with 127.0.0.1
        self.path = f"/user/{name}/"

    def log_in(self, password: str = PASSWORD) -> requests.Response:
        """Fill in the form of the log-in page, which asks the hub for a server, too."""
        page = self.session.get(f"{self.hub.address}/hub/login", timeout=SECONDS)
        page.raise_for_status()
        form = {"username": self.name, "password": password, "_xsrf": self._token("/hub/")}
        return self.session.post(f"{self.hub.address}/hub/login", data=form, timeout=SECONDS)

    def wait_for_server(self) -> requests.Response:
        """Watch the progress bar to its end, and open the page that it leads to."""
        bar = f"{self.hub.address}/hub/api/users/{self.name}/server/progress"
        token = {"_xsrf": self._token("/hub/")}
        with self.session.get(bar, params=token, stream=True, timeout=SECONDS) as lines:
            events = [json.loads(line.removeprefix(b"data: ")) for line in lines.iter_lines() if line]
        assert events[-1].get("ready"), events
        return self.session.get(f"{self.hub.address}{self.path}", timeout=SECONDS)

    def run(self, notebook: NotebookNode, name: str) -> None:
        """Run a notebook in a kernel of the learner's server as JupyterLab does, and keep the outputs in it."""
        session = {"path": f"grpc-course/notebooks/{name}", "name": name, "type": "notebook"}
        kernel = self._post("api/sessions", session | {"kernel": {"name": "python3"}})["kernel"]["id"]
        cookies = "; ".join(
            f"{each.name}={each.value}" for each in self.session.cookies if each.path in ("/", self.path)
        )
        address = f"ws{self.hub.address[4:]}{self.path}api/kernels/{kernel}/channels?_xsrf={self._token(self.path)}"
        host, port = self.hub.address.removeprefix("http://").split(":")
        plain = socket.create_connection((host, int(port)), timeout=SECONDS)  # past the proxy of the environment
        line = websocket.create_connection(address, timeout=SECONDS, cookie=cookies, socket=plain)
        try:
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    cell.outputs = execute(line, cell.source)
                    failures = [output for output in cell.outputs if output.output_type == "error"]
                    assert not failures or "raises-exception" in cell.metadata.get("tags", []), failures
        finally:
            line.close()

    def show(self, code: str) -> str:
        """Run code in a kernel of its own, and return its value."""
        cell = nbformat.v4.new_code_cell(code)
        self.run(nbformat.v4.new_notebook(cells=[cell]), "scratch.ipynb")
        return str(cell.outputs[-1].data["text/plain"])

    def _post(self, path: str, data: object) -> Any:
        headers = {"X-XSRFToken": self._token(self.path)}
        address = f"{self.hub.address}{self.path}{path}"
        answer = self.session.post(address, json=data, headers=headers, timeout=SECONDS)
        assert answer.ok, answer.text
        return answer.json()

    def _token(self, path: str) -> str:
        return str(self.session.cookies.get("_xsrf", path=path))


def execute(line: websocket.WebSocket, code: str) -> list[NotebookNode]:
    """Have a kernel run code, and return its outputs.

    Source: https://jupyter-client.readthedocs.io/en/stable/messaging.html#execute
    """
    header = {"msg_id": uuid4().hex, "msg_type": "execute_request", "session": "", "username": "", "version": "5.4"}
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    line.send(
        json.dumps({"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content})
    )
    outputs, answered, idle = [], False, False
    while not (answered and idle):
        message = json.loads(line.recv())
        if message["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        kind = message["header"]["msg_type"]
        answered = answered or kind == "execute_reply"
        idle = idle or (kind == "status" and message["content"]["execution_state"] == "idle")
        if kind in ("stream", "display_data", "execute_result", "error"):
            outputs.append(nbformat.v4.output_from_msg(message))
    return outputs


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that nobody has asked for a server yet."""
    need_module("jupyterhub")
    if not (PROXY.exists() or shutil.which("configurable-http-proxy")):
        missing("configurable-http-proxy is not installed: `make proxy`, which needs npm")
    hub = Hub(tmp_path_factory.mktemp("hub"))
    try:
        hub.wait_until_it_answers()
        yield hub
    finally:
        if hub.process.is_running():
            hub.stop()


@pytest.fixture(scope="module")
def learners(hub: Hub) -> list[Learner]:
    """Three learners whose servers run: they have all logged in at the same time."""
    learners = [Learner(hub, name) for name in NAMES]

    def arrive(learner: Learner) -> None:
        assert "spawn" in learner.log_in().url
        page = learner.wait_for_server()
        assert page.url == f"{hub.address}/user/{learner.name}/lab/tree/grpc-course/notebooks/00_start_here.ipynb"

    with ThreadPoolExecutor(len(learners)) as pool:
        list(pool.map(arrive, learners))
    processes = {"hub": [hub.process], "proxy": [], "a learner's JupyterLab": []}
    for process in hub.started():
        words = " ".join(process.cmdline())
        kind = "proxy" if "configurable-http-proxy" in words else "a learner's JupyterLab"
        processes[kind].append(process)
    for kind, found in processes.items():
        sizes = ", ".join(f"{process.memory_full_info().uss / 2**20:.0f}" for process in found)
        print(f"\nMiB that {kind} has for itself: {sizes}", end="")
    return learners


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the configuration defines for a class in an empty folder."""
    monkeypatch.setenv("CLASS_PASSWORD", PASSWORD)
    monkeypatch.setenv("CLASS_FOLDER", os.fspath(tmp_path))
    return SimpleNamespace(**runpy.run_path(os.fspath(CONFIG), {"get_config": Config}))


def hand_out(configured: SimpleNamespace, name: str) -> Path:
    """Do what comes before a learner's server starts, and return the learner's copy of the course."""
    home = configured.c.SimpleLocalProcessSpawner.home_dir_template.format(username=name)
    configured.hand_out(SimpleNamespace(home_dir=home, environment={}))
    return Path(home, "grpc-course")


@pytest.mark.parametrize("password", ["", "1234567"])
def test_a_class_without_a_password_of_8_characters_does_not_start(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLASS_PASSWORD", password)
    with pytest.raises(SystemExit, match="Set CLASS_PASSWORD to what learners log in with, of 8 characters or more"):
        runpy.run_path(os.fspath(CONFIG), {"get_config": Config})


def test_each_learner_has_a_copy_in_the_folder_of_the_class(configured: SimpleNamespace, tmp_path: Path) -> None:
    assert [hand_out(configured, name) for name in NAMES] == [tmp_path / "homes" / n / "grpc-course" for n in NAMES]


def test_a_copy_is_never_written_over(configured: SimpleNamespace) -> None:
    notebook = hand_out(configured, "ada") / "notebooks" / notebook_path("03").name
    notebook.write_text("an hour of work", encoding="utf-8")
    hand_out(configured, "ada")
    assert notebook.read_text(encoding="utf-8") == "an hour of work"


def test_a_copy_that_could_not_be_finished_is_none(
    configured: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(folder: Path) -> Path:
        (folder / "notebooks").mkdir(parents=True)
        raise OSError("No space left on device")

    with monkeypatch.context() as full:
        full.setattr(lab, "copy_course", fill_the_disk)
        with pytest.raises(OSError, match="No space left"):
            hand_out(configured, "ada")
    assert list((tmp_path / "homes" / "ada").iterdir()) == []
    assert (hand_out(configured, "ada") / "README.md").exists()


def work(learners: list[Learner], numbers: list[str]) -> None:
    """Let all learners run a notebook each, at the same time, and solve its exercises."""

    def visit(learner: Learner, number: str) -> None:
        seen = work_through(number, lambda notebook: learner.run(notebook, notebook_path(number).name))
        assert seen.answers == right_answers(number)
        assert seen.changed == []

    with ThreadPoolExecutor(len(learners)) as pool:
        list(pool.map(visit, learners, numbers))


def refusal(folder: Path, **settings: str) -> str:
    """What an instructor reads whose hub does not start."""
    need_module("jupyterhub")
    environment = {**os.environ, "CLASS_PASSWORD": PASSWORD, "CLASS_FOLDER": os.fspath(folder / "class"), **settings}
    ended = subprocess.run(
        COMMAND, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=SECONDS, check=False
    )
    assert ended.returncode == 1
    return ended.stdout + ended.stderr


OLD_NODE = """#!/bin/sh
test "$1" = --version && echo v18.19.0
"""


def test_make_takes_a_node_that_is_new_enough(tmp_path: Path) -> None:
    if not shutil.which("node"):
        missing("node is not installed")
    checked = checkout.make("class", folder=tmp_path, CLASS_PASSWORD=PASSWORD)
    node = subprocess.run(["node", "--version"], capture_output=True, encoding="utf-8", timeout=SECONDS)
    assert (checked.returncode == 0) == (int(node.stdout[1:].split(".")[0]) >= 20), checked.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a program of the shell stands in for an old Node.js")
@pytest.mark.parametrize(
    ("password", "message"),
    [
        (
            "short",
            "Set CLASS_PASSWORD to what learners log in with, of 8 characters or more: CLASS_PASSWORD=… make hub",
        ),
        (PASSWORD, "JupyterHub's proxy needs Node.js 20 or newer, and 'node' is v18.19.0."),
    ],
)
def test_make_says_what_a_class_lacks_before_it_installs_anything(tmp_path: Path, password: str, message: str) -> None:
    node = tmp_path / "node"
    node.write_text(OLD_NODE, encoding="utf-8")
    node.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    ended = checkout.make("hub", folder=tmp_path, CLASS_PASSWORD=password, PATH=path)
    assert (ended.returncode, ended.stdout.splitlines()[0]) == (2, message)
    assert list(tmp_path.iterdir()) == [node]


def test_a_class_without_a_password_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, CLASS_PASSWORD="") == (
        "Set CLASS_PASSWORD to what learners log in with, of 8 characters or more: CLASS_PASSWORD=… make hub\n"
    )


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "class").write_text("a file", encoding="utf-8")
    assert refusal(tmp_path) == (
        f"The files of the class cannot be kept in {tmp_path / 'class'}: File exists. "
        "Name another folder: CLASS_FOLDER=… make hub\n"
    )


@pytest.mark.parametrize("offset", range(3), ids=["the class's", "the proxy's", "the hub's"])
def test_a_taken_port_is_named(tmp_path: Path, offset: int) -> None:
    port = quiet_ports()
    with socket.create_server(("127.0.0.1", port + offset)):
        assert refusal(tmp_path, CLASS_PORT=f"{port}") == (
            f"Port {port + offset} is taken, perhaps by a hub that runs already. "
            "Stop that program, or take three other ports, from 9000 on: CLASS_PORT=9000 make hub\n"
        )


def test_a_second_hub_leaves_the_first_alone(hub: Hub) -> None:
    proxy = hub.started()
    assert "is taken, perhaps by a hub that runs already" in refusal(hub.folder, **hub.settings)
    assert hub.started() == proxy


def test_who_does_not_know_the_password_of_the_class_stays_outside(hub: Hub) -> None:
    assert Learner(hub, "mallory").log_in("ten teams and no ball").status_code == 403


def test_learners_run_different_notebooks_at_the_same_time(learners: list[Learner]) -> None:
    work(learners, ["03", "04", "09"])


def test_learners_run_the_same_notebook_at_the_same_time(learners: list[Learner]) -> None:
    work(learners, ["13"] * 3)


def test_what_a_learner_solves_is_solved_for_nobody_else(learners: list[Learner]) -> None:
    ada, *others = learners
    begin = "from teams_lib.exercises import check, progress, reset_progress; reset_progress(); "
    for learner in learners:
        learner.show(f"{begin} progress()")
    ada.show(f'{begin} nickname = "Nordics"; check("00.1", nickname)')
    ask = "from teams_lib.exercises import progress; progress().head"
    assert [learner.show(ask).strip("'").split()[0] for learner in (ada, *others)] == ["1", "0", "0"]


def test_a_learner_runs_the_code_of_the_copy(hub: Hub, learners: list[Learner]) -> None:
    used = Path(learners[0].show("import teams_lib; teams_lib.__file__").strip("'"))
    assert used.parents[1] == hub.folder / "class" / "homes" / NAMES[0] / "grpc-course"


def test_the_hub_ends_with_all_that_it_has_started(hub: Hub, learners: list[Learner]) -> None:
    learners[0].show("1")
    running = " ".join(word for process in hub.started() for word in process.cmdline())
    for program in ("configurable-http-proxy", "jupyterhub.singleuser", "ipykernel_launcher"):
        assert program in running
    assert hub.stop() == []
