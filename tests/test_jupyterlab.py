"""The notebooks in a real JupyterLab, used as learners use them: run, looked at, unfolded, and clicked through.

All of them live in one page, a tab each. While one is looked at, the next two run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tools import lab, series

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.long

PATHS = sorted(series.NOTEBOOKS.glob("*.ipynb"))
AHEAD = 2
MILLISECONDS_TO_RUN = 120_000
# JupyterLab's own, when it restarts a kernel that a debugger or a completer has just asked something.
NOT_OURS = re.compile(r"Canceled future for \w+ message before replies were done|Connection lost, reconnecting")
LINK = "a[href]:not(.jp-InternalAnchorLink)"  # without the ¶ that JupyterLab gives each heading

NOTE_ENDS_OF_RUNS = """() => {
    const app = window.jupyterapp;
    window.ended = {};
    app.commands.commandExecuted.connect((_, {id, result}) => {
        if (id !== 'runmenu:restart-and-run-all') return;
        const path = app.shell.currentWidget.context.path;
        result.then(() => { window.ended[path] = true });
    });
}"""
OPEN = """async path => {
    const widget = await window.jupyterapp.commands.execute('docmanager:open', {path});
    await widget.context.ready;
    await widget.sessionContext.ready;
}"""
# JupyterLab draws what is out of sight when it finds the time.
DRAWN = """() => window.jupyterapp.shell.currentWidget.content.widgets.every(cell => cell.node.isConnected
    && (cell.model.type !== 'markdown' || cell.rendered)
    && cell.node.querySelectorAll('.jp-OutputArea-output').length === (cell.model.outputs?.length ?? 0))"""
IDLE = "() => window.jupyterapp.shell.currentWidget.sessionContext.kernelDisplayStatus === 'idle'"
STARTED = """() => window.jupyterapp.shell.currentWidget.content.widgets.some(cell =>
    cell.model.type === 'code' && (cell.model.executionCount !== null || cell.model.executionState === 'running'))"""
SHOWS = "path => window.jupyterapp?.shell.currentWidget?.context?.path === path"
CELLS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(cell => ({
    type: cell.model.type,
    source: cell.model.sharedModel.getSource(),
    tags: cell.model.getMetadata('tags') ?? [],
    rendered: cell.rendered,
    count: cell.model.executionCount,
    outputs: cell.model.outputs?.toJSON() ?? [],
    drawn: [...cell.node.querySelectorAll('.jp-OutputArea-output')].map(node => node.dataset.mimeType),
}))"""
PICTURES = """pictures => pictures.map(({naturalWidth, naturalHeight, offsetWidth, offsetHeight, alt}) =>
    ({alt, smallest: Math.min(naturalWidth, naturalHeight, offsetWidth, offsetHeight)}))"""
FOLD = """answers => answers.map(answer => {
    const summary = answer.querySelector('summary');
    const heights = [0, 1, 2].map(step => { if (step) summary.click(); return answer.offsetHeight });
    return {summary: summary.textContent, heights};
})"""
DEAD = """async links => {
    const places = new Set(links.map(link => link.href.split('#')[0]));
    const answers = [...places].map(async place => [place, (await fetch(place, {method: 'HEAD'})).status]);
    return (await Promise.all(answers)).filter(([_, status]) => status !== 200);
}"""
IN_VIEW = """heading => [...document.querySelectorAll(':is(h1, h2, h3, h4)')].some(found => {
    const {top, bottom} = found.getBoundingClientRect();
    return found.dataset.jupyterId === heading && top >= 0 && bottom <= innerHeight && found.checkVisibility();
})"""


@dataclass
class Lab:
    """JupyterLab in a page of the browser."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """What the browser's console reported since somebody last looked."""
    started: set[Path] = field(default_factory=set)

    def show(self, path: Path) -> None:
        """Open a notebook, or bring its tab to the front."""
        self.page.evaluate(OPEN, address(path))
        self.page.wait_for_function(IDLE)

    def restart_and_run_all(self, path: Path) -> None:
        """Choose the command from the menu, and return when the first cell runs.

        Until then JupyterLab restarts the kernel; and then runs the cells of whichever notebook is in front.
        """
        self.show(path)
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Restart Kernel and Run All Cells").click()
        self.page.locator(".jp-Dialog").get_by_role("button", name="Confirm Kernel Restart").click()
        self.page.wait_for_function(STARTED)
        self.started.add(path)

    def wait_until_run(self, path: Path) -> None:
        self.page.wait_for_function("path => window.ended[path]", arg=address(path), timeout=MILLISECONDS_TO_RUN)

    def in_front(self) -> Locator:
        """The notebook whose tab is in front."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def cells(self) -> list[dict[str, Any]]:
        cells: list[dict[str, Any]] = self.page.evaluate(CELLS)
        return cells

    def look_at_console(self) -> list[str]:
        seen, self.complaints = self.complaints, []
        return seen


def address(path: Path) -> str:
    """What JupyterLab calls a file of the course."""
    return path.relative_to(series.ROOT).as_posix()


@pytest.fixture(scope="module")
def jupyterlab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on a copy of the course whose notebooks have never run: what they show comes from their run here."""
    folder = tmp_path_factory.mktemp("lab")
    course = lab.copy_course(folder / "course")
    for path in (course / "notebooks").glob("*.ipynb"):
        notebook = series.load(path)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        path.write_text(series.dump(notebook), encoding="utf-8")
    with lab.running(course, folder / "home") as url:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(60_000)
        opened = Lab(page)

        def note(text: str) -> None:
            if not NOT_OURS.search(text):
                opened.complaints.append(text)

        page.on("pageerror", lambda error: note(f"{error.name}: {error.message}"))
        page.on("console", lambda message: note(message.text) if message.type == "error" else None)
        page.goto(f"{url}/lab/tree/{address(PATHS[0])}")
        page.wait_for_function(SHOWS, arg=address(PATHS[0]))
        page.evaluate(NOTE_ENDS_OF_RUNS)
        yield opened
        page.close()


# A fixture with parameters for the module: pytest calls all tests with one notebook before it goes on to the next.
@pytest.fixture(scope="module", params=PATHS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest, jupyterlab: Lab) -> Path:
    """A notebook that has run, in front."""
    path: Path = request.param
    items = [item for item in request.session.items if isinstance(item, pytest.Function) and item.path == request.path]
    chosen = list(dict.fromkeys(item.callspec.params["path"] for item in items))
    position = chosen.index(path)
    for each in chosen[position : position + AHEAD + 1]:
        if each not in jupyterlab.started:
            jupyterlab.restart_and_run_all(each)
    jupyterlab.wait_until_run(path)
    jupyterlab.show(path)
    jupyterlab.page.wait_for_function(DRAWN)
    return path


def test_restart_and_run_all_runs_every_cell_without_an_unexpected_error(path: Path, jupyterlab: Lab) -> None:
    code = [cell for cell in jupyterlab.cells() if cell["type"] == "code"]
    unexpected = [
        (cell["count"], output["ename"], output["evalue"])
        for cell in code
        for output in cell["outputs"]
        if output["output_type"] == "error" and "raises-exception" not in cell["tags"]
    ]
    assert unexpected == []
    assert [cell["count"] for cell in code] == list(range(1, len(code) + 1))
    assert jupyterlab.page.locator(".jp-Dialog").all_inner_texts() == []


def test_outputs_show_as_what_they_are_and_not_as_text(path: Path, jupyterlab: Lab) -> None:
    shown = [
        (cell["count"], drawn)
        for cell in jupyterlab.cells()
        for output, drawn in zip(cell["outputs"], cell["drawn"], strict=True)
        if set(output.get("data", {})) - {"text/plain"} and drawn in (None, "text/plain")
    ]
    assert shown == []


def test_every_check_shows_its_box(path: Path, jupyterlab: Lab) -> None:
    exercises = [cell for cell in jupyterlab.cells() if "exercise" in cell["tags"]]
    boxes = jupyterlab.in_front().locator(".jp-OutputArea-output > div[style*='border-left']:has(> b)")
    lines = [cell["outputs"][-1]["data"]["text/plain"] for cell in exercises]
    assert [text for text in boxes.all_text_contents() if "not attempted yet" in text] == lines
    widths = boxes.evaluate_all("boxes => boxes.map(box => getComputedStyle(box).borderLeftWidth)")
    assert set(widths) == {"4px"}


def test_every_picture_is_drawn(path: Path, jupyterlab: Lab) -> None:
    pictures = jupyterlab.in_front().locator("img").evaluate_all(PICTURES)
    assert len(pictures) >= sum("image/" in mime for cell in jupyterlab.cells() for mime in cell["drawn"] if mime)
    assert [picture for picture in pictures if picture["smallest"] < 20] == []


def test_folded_answers_open_and_close(path: Path, jupyterlab: Lab) -> None:
    answers = jupyterlab.in_front().locator(".jp-MarkdownOutput details")
    steps = answers.evaluate_all(FOLD)
    assert [step for step in steps if not step["heights"][0] == step["heights"][2] < step["heights"][1]] == []
    answer = answers.first  # one by the mouse
    answer.locator("summary").click()
    assert answer.evaluate("answer => answer.open")
    answer.locator("summary").click()
    assert not answer.evaluate("answer => answer.open")
    assert [cell["source"] for cell in jupyterlab.cells() if cell["type"] == "markdown" and not cell["rendered"]] == []


def test_links_lead_to_what_the_lab_serves(path: Path, jupyterlab: Lab) -> None:
    links = jupyterlab.in_front().locator(f".jp-MarkdownOutput {LINK}:not([href^='#'])")
    local = links.evaluate_all("links => links.filter(link => link.origin === location.origin).map(link => link.href)")
    assert local
    assert [link for link in local if "/files/" not in link] == []  # JupyterLab has not made it its own
    assert links.and_(jupyterlab.page.locator("[href*='/files/']")).evaluate_all(DEAD) == []


def links_of(jupyterlab: Lab, number: int, source: str) -> list[tuple[Locator, str]]:
    """The links of a markdown cell, as shown and as written, but for those to the web."""
    shown = jupyterlab.in_front().locator(".jp-Cell").nth(number).locator(f".jp-MarkdownOutput {LINK}").all()
    written = re.findall(r"\]\(([^)\s]+)\)", source)
    return [(link, target) for link, target in zip(shown, written, strict=True) if "://" not in target]


def follow(jupyterlab: Lab, path: Path, link: Locator, target: str) -> None:
    """Click a link of a notebook, wait for what it opens, and come back."""
    from playwright.sync_api import TimeoutError as NeverShownError

    place, _, anchor = target.partition("#")
    link.click()
    try:
        jupyterlab.page.wait_for_function(SHOWS, arg=address((path.parent / place).resolve() if place else path))
        if anchor:
            jupyterlab.page.wait_for_function(IN_VIEW, arg=unquote(anchor))
    except NeverShownError:
        pytest.fail(f"A click on the link to {target} does not show that place.")
    jupyterlab.page.evaluate(OPEN, address(path))


def test_the_bars_lead_to_the_other_notebooks_by_a_click(path: Path, jupyterlab: Lab) -> None:
    cells = jupyterlab.cells()
    top, end = (links_of(jupyterlab, number, cells[number]["source"]) for number in (1, len(cells) - 1))
    assert [target for _, target in top] == [target for _, target in end] != []
    for link, target in (top[-1], end[0]):  # next and previous, where there is one
        follow(jupyterlab, path, link, target)


def test_links_to_files_and_headings_open_them_by_a_click(path: Path, jupyterlab: Lab) -> None:
    for number, cell in enumerate(jupyterlab.cells()):
        written = re.findall(r"\]\(([^):\s]+)\)", cell["source"]) if cell["type"] == "markdown" else []
        if any(is_no_mere_notebook(target) for target in written):
            for link, target in links_of(jupyterlab, number, cell["source"]):
                if is_no_mere_notebook(target):
                    follow(jupyterlab, path, link, target)


def is_no_mere_notebook(target: str) -> bool:
    return not target.endswith(".ipynb")


def test_nothing_is_left_to_complain_about(path: Path, jupyterlab: Lab) -> None:
    assert jupyterlab.look_at_console() == []
    assert jupyterlab.page.locator(".jp-Dialog").all_inner_texts() == []
