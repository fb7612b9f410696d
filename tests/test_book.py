"""The book: what a reader of the built site sees, in a browser."""

from __future__ import annotations

import filecmp
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag

from tests.needs import need_module
from tools import series

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

NOTEBOOKS = {f"notebooks/{path.stem}.html": series.load(path) for path in sorted(series.NOTEBOOKS.glob("*.ipynb"))}
ERRORS = "notebooks/errors.html"
IN_ORDER = ["index.html", *NOTEBOOKS, ERRORS]
PHONE = {"width": 390, "height": 800}

# --- building and visiting --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_builds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The book, built twice at the same time, into folders of different names."""
    need_module("sphinx")
    folders = [tmp_path_factory.mktemp("book") / name for name in ("one", "the other")]
    builds = [
        subprocess.Popen(
            [sys.executable, "-m", "tools.book", folder],
            cwd=series.ROOT,
            env={**os.environ, "PYTHONHASHSEED": str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        for number, folder in enumerate(folders, start=1)
    ]
    for build, folder in zip(builds, folders, strict=True):
        printed, _ = build.communicate()
        assert build.returncode == 0, printed
        assert printed.startswith(f"Open {folder / 'index.html'}"), printed
    return folders


@pytest.fixture(scope="module")
def book(two_builds: list[Path]) -> Path:
    return two_builds[0]


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("kept", encoding="utf-8")
    command = [sys.executable, "-m", "tools.book", tmp_path]
    refused = subprocess.run(command, cwd=series.ROOT, capture_output=True, encoding="utf-8", check=False)
    assert refused.returncode == 1
    assert refused.stderr == f"{tmp_path} holds something that is no book: name a new folder, or an empty one.\n"
    assert [file.name for file in tmp_path.iterdir()] == ["letters.txt"]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Leave stderr to the tests."""


@pytest.fixture(scope="module")
def address(book: Path) -> Iterator[str]:
    """Where the book is served, with a slash at the end."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=book)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@dataclass
class Visit:
    """What a page did, and what it showed."""

    status: int
    complaints: list[str]
    requests: list[str]
    barriers: list[str]
    too_wide_for_a_phone: list[str]
    text: str
    code: list[str]
    outputs: list[str]
    pictures: list[dict[str, Any]]
    answers: int
    headings: dict[str, str]
    links: list[str]
    previous: str | None
    next: str | None


LOOK = """() => {
  const all = (selector, view) => [...document.querySelectorAll(selector)].map(view);
  const heading = element => {
    const found = element.closest('section')?.querySelector('h1, h2, h3, h4')?.cloneNode(true);
    found?.querySelector('.headerlink')?.remove();
    return found?.textContent ?? '';
  };
  return {
    text: document.querySelector('main').textContent,
    code: all('.cell_input pre', pre => pre.textContent),
    outputs: all('.cell_output pre', pre => pre.textContent),
    pictures: all('main img', img => ({alt: img.alt, width: img.naturalWidth})),
    answers: document.querySelectorAll('main details:not([open])').length,
    headings: Object.fromEntries(all('[id]', element => [element.id, heading(element)])),
    links: all('a[href]', a => a.href),
    previous: document.querySelector('a.left-prev')?.href ?? null,
    next: document.querySelector('a.right-next')?.href ?? null,
  };
}"""

TOO_WIDE = """() => [...document.querySelectorAll('html, main img, main p:not(table p)')]
  .filter(element => element.scrollWidth > innerWidth || element.getBoundingClientRect().right > innerWidth)
  .map(element => element.outerHTML.slice(0, 100))"""

# Text in the same kinds of elements, all the way up, looks the same: axe-core, which takes its time, needs to see one.
ONE_TEXT_OF_EACH_LOOK = """() => {
  const seen = new Set(), again = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    let look = '';
    for (let at = texts.currentNode.parentElement; at; at = at.parentElement) {
      look += `${at.tagName}.${at.className}[${at.style.cssText}] `;
    }
    seen.has(look) ? again.push(texts.currentNode) : seen.add(look);
  }
  for (let [at, up] of again.map(text => [text, text.parentElement])) {
    for (at.remove(); !up.hasChildNodes(); up = at.parentElement, at.remove()) at = up;
  }
}"""


def complaint(message: ConsoleMessage) -> Iterator[str]:
    if message.type in ("error", "warning"):
        yield f"{message.text} {message.location['url']}"


def barriers(page: Page, **options: object) -> list[str]:
    """What shuts readers out of an open page, by the rules of axe-core that the options choose."""
    from axe_playwright_python.sync_playwright import Axe

    # preload would ask for the style sheets again
    found = Axe().run(page, options={**options, "resultTypes": ["violations"], "preload": False}).response
    assert found["passes"], "axe-core looked at nothing"
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found["violations"] for node in rule["nodes"]]


def all_barriers(page: Page) -> list[str]:
    """What shuts readers out of an open page by WCAG 2.1, A and AA, answers unfolded, in light and dark colours."""
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
    found = barriers(page, runOnly=levels, rules={"color-contrast": {"enabled": False}})
    page.evaluate(ONE_TEXT_OF_EACH_LOOK)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_function("theme => document.documentElement.dataset.theme == theme", arg=theme)
        found += [f"{theme}: {barrier}" for barrier in barriers(page, runOnly=["color-contrast"])]
    return found


def visit(page: Page, address: str) -> Visit:
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.extend(complaint(message)))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    page.on("request", lambda request: requests.append(request.url))
    response = page.goto(address)
    assert response is not None
    seen = page.evaluate(LOOK)
    desktop = page.viewport_size
    page.set_viewport_size(PHONE)
    too_wide = page.evaluate(TOO_WIDE)
    page.set_viewport_size(desktop)
    return Visit(response.status, complaints, requests, all_barriers(page), too_wide, **seen)


@pytest.fixture(scope="module")
def visits(browser: Browser, book: Path, address: str) -> dict[str, Visit]:
    """A visit to each page of the book."""
    need_module("axe_playwright_python")
    names = [file.relative_to(book).as_posix() for file in book.rglob("*.html") if "_static" not in file.parts]
    context = browser.new_context(reduced_motion="reduce")
    result = {}
    for name in names:
        page = context.new_page()
        result[name] = visit(page, address + name)
        page.close()
    context.close()
    return result


def place(link: str, address: str) -> tuple[str, str]:
    """The page and the id that a link within the book leads to."""
    page, anchor = urldefrag(link)
    return page.removeprefix(address), unquote(anchor)


# --- the whole site ---------------------------------------------------------------------------------------------------


def test_there_is_a_page_for_each_notebook_and_the_errors_and_a_start(visits: dict[str, Visit]) -> None:
    assert set(IN_ORDER) <= set(visits)


def test_every_page_opens_without_an_error(visits: dict[str, Visit]) -> None:
    assert {name: seen.complaints for name, seen in visits.items() if seen.status != 200 or seen.complaints} == {}


def test_no_page_asks_another_host_for_anything(visits: dict[str, Visit], address: str) -> None:
    requests = [request for seen in visits.values() for request in seen.requests]
    assert [request for request in requests if not request.startswith((address, "data:"))] == []


def test_building_twice_gives_the_same_bytes(two_builds: list[Path]) -> None:
    one, other = ({file.relative_to(root): file for file in root.rglob("*") if file.is_file()} for root in two_builds)
    assert set(one) == set(other)
    assert [name for name in one if not filecmp.cmp(one[name], other[name], shallow=False)] == []


def test_links_within_the_book_lead_to_a_page_and_a_place_on_it(visits: dict[str, Visit], address: str) -> None:
    inside = {link for seen in visits.values() for link in seen.links if link.startswith(address)}
    places = {place(link, address) for link in inside if not place(link, address)[0].startswith("_images/")}
    dead = [(page, at) for page, at in places if page not in visits or (at and at not in visits[page].headings)]
    assert dead == []


def test_an_enlarged_picture_is_a_file_of_the_book(visits: dict[str, Visit], address: str, book: Path) -> None:
    pictures = {place(link, address)[0] for seen in visits.values() for link in seen.links if "/_images/" in link}
    assert pictures
    assert [name for name in pictures if not (book / name).is_file()] == []


def test_links_to_a_heading_lead_to_that_heading(visits: dict[str, Visit], address: str) -> None:
    written = re.findall(r"\]\((\w+)\.ipynb#([^)]+)\)", series.ERRORS.read_text(encoding="utf-8"))
    places = [place(link, address) for link in visits[ERRORS].links if "#" in link]
    built = [(page, visits[page].headings[at].replace(" ", "-")) for page, at in places if page in NOTEBOOKS]
    assert len(written) > 50
    assert built == [(f"notebooks/{name}.html", unquote(anchor)) for name, anchor in written]


def test_next_leads_through_all_notebooks_in_order_and_previous_back(visits: dict[str, Visit], address: str) -> None:
    following = [visits[name].next for name in IN_ORDER]
    before = [visits[name].previous for name in IN_ORDER]
    assert following == [*(address + name for name in IN_ORDER[1:]), None]
    assert before == [None, *(address + name for name in IN_ORDER[:-1])]


def test_nothing_is_wider_than_a_phone(visits: dict[str, Visit]) -> None:
    assert {name: seen.too_wide_for_a_phone for name, seen in visits.items() if seen.too_wide_for_a_phone} == {}


def test_no_page_shuts_readers_out_in_light_or_dark_colours(visits: dict[str, Visit]) -> None:
    assert {name: seen.barriers for name, seen in visits.items() if seen.barriers} == {}


# --- a notebook -------------------------------------------------------------------------------------------------------

each_notebook = pytest.mark.parametrize("name", NOTEBOOKS, ids=lambda name: Path(name).stem)


def as_shown(text: str) -> str:
    return text.strip("\n")


@each_notebook
def test_a_page_shows_every_code_cell_as_it_is_stored(visits: dict[str, Visit], name: str) -> None:
    stored = [cell.source for cell in NOTEBOOKS[name].cells if cell.cell_type == "code"]
    assert [as_shown(code) for code in visits[name].code] == [as_shown(code) for code in stored]


@each_notebook
def test_a_page_shows_every_text_output_as_it_is_stored(visits: dict[str, Visit], name: str) -> None:
    outputs = [output for cell in NOTEBOOKS[name].cells for output in cell.get("outputs", [])]
    texts = [output.text if output.output_type == "stream" else only_text(output.data) for output in outputs]
    assert [as_shown(text) for text in visits[name].outputs] == [as_shown(text) for text in texts if text]


def only_text(data: dict[str, str]) -> str:
    return data["text/plain"] if set(data) == {"text/plain"} else ""


@each_notebook
def test_a_page_shows_every_picture_with_its_text(visits: dict[str, Visit], name: str) -> None:
    outputs = [output for cell in NOTEBOOKS[name].cells for output in cell.get("outputs", [])]
    alts = [kind.alt for output in outputs for kind in output.get("metadata", {}).values()]
    assert [picture["alt"] for picture in visits[name].pictures] == alts
    assert all(picture["width"] > 0 for picture in visits[name].pictures)


@each_notebook
def test_a_page_folds_every_answer(visits: dict[str, Visit], name: str) -> None:
    prose = [cell.source for cell in NOTEBOOKS[name].cells if cell.cell_type == "markdown"]
    assert visits[name].answers == "".join(prose).count("<details>")


@each_notebook
def test_a_page_has_no_second_navigation_bar(visits: dict[str, Visit], name: str) -> None:
    assert f"of {len(NOTEBOOKS) - 1} · Part" in NOTEBOOKS[name].cells[1].source
    assert f"of {len(NOTEBOOKS) - 1} · Part" not in visits[name].text


def test_a_linked_file_of_the_repository_is_shown_in_full(visits: dict[str, Visit]) -> None:
    pages = {name: seen for name, seen in visits.items() if name not in IN_ORDER and name != "search.html"}
    assert {"teams_lib/servicer.py.html", "protobufs/teams.proto.html"} <= set(pages)
    for name, seen in pages.items():
        assert (series.ROOT / name.removesuffix(".html")).read_text(encoding="utf-8").strip() in seen.text


# --- what a reader does -----------------------------------------------------------------------------------------------


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(color_scheme="light")
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("opened", ["served", "from disk"])
def test_search_finds_the_lesson_on_deadlines(page: Page, address: str, book: Path, opened: str) -> None:
    page.goto(f"{address if opened == 'served' else book.as_uri() + '/'}index.html")
    if opened == "served":
        page.keyboard.press("Control+K")
    else:
        page.get_by_role("button", name="Search").filter(visible=True).click()
    page.keyboard.type("deadline")
    page.keyboard.press("Enter")
    page.get_by_text("Search finished").wait_for()
    found = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.pathname)")
    assert found[0].endswith("/notebooks/10_deadlines_and_cancellation.html")


def test_an_answer_unfolds_at_a_click(page: Page, address: str) -> None:
    page.goto(f"{address}notebooks/05_response_streaming.html")
    answer = page.locator("details").first
    assert not answer.locator("p").is_visible()
    answer.locator("summary").click()
    assert answer.locator("p").is_visible()


def inner_part(page: Page, picture: Locator) -> bytes:
    """What the screen shows in the middle of a picture: the corners of its card let the page shine through."""
    picture.evaluate("picture => picture.scrollIntoView({block: 'center'})")
    box = picture.bounding_box()
    assert box is not None
    clip = {"x": box["x"] + 20, "y": box["y"] + box["height"] / 2 - 30, "width": box["width"] - 40, "height": 60}
    return page.screenshot(clip=clip, animations="disabled")


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_pictures_look_the_same_when_the_reader_chooses_the_dark_theme(page: Page, address: str, kind: str) -> None:
    page.goto(f"{address}notebooks/08_on_the_wire.html")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    picture = page.locator(f"main img[src$={kind}]").first
    in_light = inner_part(page, picture)
    page.locator(".theme-switch-button:visible").click()
    page.locator(".theme-change-button[data-mode=dark]:visible").click()
    page.wait_for_function("document.documentElement.dataset.theme == 'dark'")
    page.keyboard.press("Escape")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground
    the_same = inner_part(page, picture) == in_light
    assert the_same
