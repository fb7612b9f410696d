"""Who can't see the course, tells no colours apart, or uses no mouse, learns the same from it.

The measure is WCAG 2.2 (https://www.w3.org/TR/WCAG22/), level AA. What a reader meets is what is tested: the stored
pictures, the colours that are drawn, and the notebooks in a real JupyterLab, in its light and its dark theme.
"""

import base64
import io
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

from teams_lib import BackgroundServer, TeamsServicer, exercises
from teams_lib.exercises import Result
from teams_lib.pictures import (
    Arrow,
    Field,
    Kind,
    Moment,
    Note,
    Picture,
    Span,
    Step,
    bars,
    byte_fields,
    path_of_a_call,
    sequence,
    states,
    timeline,
)
from teams_lib.pictures._calls import ARROWS
from teams_lib.pictures._card import CARD, DARKER, EDGE, GRID, MUTED, SMALL
from teams_lib.pictures._png import PngCard
from teams_lib.pictures._svg import SvgCard
from teams_lib.wire._streams import _draw_mark
from tests.drawings import NAME, assert_legible, contrast, number, svg
from tests.test_notebooks import PATHS, code_cells, each_notebook, headings, load, strings, without_blocks, without_code
from tools import series

import nbformat
import pytest
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SVG, PNG = "image/svg+xml", "image/png"
each_page = pytest.mark.parametrize("page", [series.README, series.ERRORS, *PATHS], ids=lambda page: page.stem)


def markdown(page: Path) -> str:
    """All that is written on a page, and no code."""
    if page.suffix == ".md":
        return without_code(page.read_text(encoding="utf-8"))
    return "\n\n".join(without_code(cell.source) for cell in load(page).cells if cell.cell_type == "markdown")


class Drawn(NamedTuple):
    """A stored picture: its image, its text equivalent, its alternative text."""

    image: str
    text: str
    alt: str


def stored(path: Path, mime: str) -> list[Drawn]:
    return [
        Drawn(output.data[mime], output.data["text/plain"], output.metadata.get(mime, {}).get("alt", ""))
        for cell in code_cells(path)
        for output in cell.outputs
        if mime in output.get("data", {})
    ]


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


def squeezed(text: str) -> str:
    """Without spaces: a drawn label is broken into lines."""
    return re.sub(r"\s", "", text)


# --- a picture has an equivalent in words: 1.1.1 ---------------------------------------------------------------------


@each_page
def test_pictures_in_the_text_have_a_text_equivalent(page: Path) -> None:
    outputs = [text for cell in code_cells(page) for text in strings(cell.outputs)] if page in PATHS else []
    text = "\n\n".join([markdown(page), *outputs])
    alts = re.findall(r"!\[([^\]]*)\]\([^)]*\)", text)
    alts += [(re.findall(r"\balt=[\"']([^\"']*)", tag) or [""])[0] for tag in re.findall(r"<img\b[^>]*>", text)]
    poor = [alt for alt in alts if len(alt.split()) < 5 or re.match(r"(?i)(an? )?(image|picture|screenshot)\b", alt)]
    assert poor == [], "say in five words or more what the picture shows: ![…](images/…)"


@each_notebook
def test_drawn_pictures_have_a_text_equivalent(path: Path) -> None:
    svgs, pngs = stored(path, SVG), stored(path, PNG)
    without = [text for _, text, _ in svgs + pngs if re.fullmatch(r"<.*>|", text.strip())]
    assert without == [], "draw it with teams_lib.pictures or teams_lib.wire, whose pictures bring their text along"
    assert [(text, alt) for _, text, alt in svgs if words(text) - words(alt)] == []
    assert [(text, alt) for _, text, alt in pngs if words(text).keys() - words(alt).keys()] == []


@each_notebook
def test_a_picture_is_of_a_kind_that_is_tested_here(path: Path) -> None:
    kinds = {mime for cell in code_cells(path) for output in cell.outputs for mime in output.get("data", {})}
    assert {mime for mime in kinds if mime.startswith("image/")} <= {SVG, PNG}


@each_notebook
def test_whatever_is_more_than_text_has_a_text_too(path: Path) -> None:
    # JupyterLab shows it until the cell is run, and so do readers of plain text.
    shown = [output.data for cell in code_cells(path) for output in cell.outputs if "data" in output]
    assert [data for data in shown if re.fullmatch(r"(?:<\S+ object>)?", data.get("text/plain", ""))] == []


@each_notebook
def test_an_svg_says_within_itself_what_it_shows(path: Path) -> None:
    drawn = stored(path, SVG)
    assert [text for image, text, _ in drawn if ElementTree.fromstring(image).findtext("{*}desc") != text] == []


@each_notebook
def test_every_label_of_a_stored_svg_is_in_its_text_equivalent(path: Path) -> None:
    missing = [
        label
        for image, text, _ in stored(path, SVG)
        for label in labels(ElementTree.fromstring(image))
        if squeezed(label) not in squeezed(text)
    ]
    assert missing == []


def labels(root: ElementTree.Element) -> Iterator[str]:
    """The text that is drawn, without legends and offsets (which are muted) and the cells of bytes."""
    for line in root.iter(f"{NAME}text"):
        if line.text and line.get("fill") != MUTED:
            yield line.text


@each_notebook
def test_the_alternative_text_of_a_measured_picture_names_what_is_drawn_too(path: Path) -> None:
    assert [alt for _, text, alt in stored(path, PNG) if (words(alt) - words(text)).total() < 6] == []


# --- the kinds of pictures --------------------------------------------------------------------------------------------


KINDS: tuple[Kind, ...] = ("headers", "message", "status", "error", "note")


def a_sequence() -> Picture:
    arrows = [Arrow("client", "server", f"an arrow: {kind}", kind) for kind in KINDS]
    return sequence(["client", "server", "network", "a", "b", "c"], [*arrows, Note("network", "a note")])


def some_bytes() -> Picture:
    return byte_fields(b"ABCDEFGH", [Field(i, i + 1, f"colour {i}") for i in range(7)])


def a_timeline() -> Picture:
    lanes = ["client", "server", "network", *(f"lane {i}" for i in range(4))]
    return timeline(
        {lane: [Span(0, 1, "works"), Moment(1.5, "ends"), Moment(2)] for lane in lanes}, title="Seven lanes"
    )


def some_bars() -> Picture:
    return bars({"unary": 3204.0, "stream": 13501.0}, "messages/s", "Two kinds", text="A stream is faster", log=True)


def some_states() -> Picture:
    changes = [(0, "IDLE"), (1, "CONNECTING"), (1.01, "TRANSIENT_FAILURE"), (1.02, "READY"), (4, "SHUTDOWN")]
    return states(changes, end=6, unit="s")


def a_path() -> Picture:
    places = ("client", "network", "server", "elsewhere")
    return path_of_a_call([Step(f"step at the {place}", place, 5e-7, "9 bytes") for place in places], "A path")


each_svg = pytest.mark.parametrize("draw", [a_sequence, some_bytes])
each_png = pytest.mark.parametrize("draw", [a_timeline, some_bars, some_states, a_path])


class Canvas(NamedTuple):
    """What matplotlib was asked to draw."""

    picture: Picture
    artists: list[Any]


def on_canvas(draw: Callable[[], Picture], monkeypatch: pytest.MonkeyPatch) -> Canvas:
    cards: list[Any] = []
    render = PngCard.render

    def spy(card: PngCard, height: int, title: str, text: str) -> bytes:
        cards.append(card)
        return render(card, height, title, text)

    monkeypatch.setattr(PngCard, "render", spy)
    picture = draw()
    [card] = cards
    return Canvas(picture, sorted(card._axes.get_children(), key=lambda artist: artist.get_zorder()))


@each_png
def test_what_is_written_on_a_png_is_in_its_alternative_text(
    draw: Callable[[], Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.text import Text

    picture, artists = on_canvas(draw, monkeypatch)
    written = [artist for artist in artists if isinstance(artist, Text) and artist.get_text() and not is_tick(artist)]
    words = [word for artist in written for word in artist.get_text().split()]
    assert words
    assert [word for word in words if word not in squeezed(picture.alt)] == []


def is_tick(artist: Any) -> bool:
    """The numbers of an axis, which only help the eye."""
    small = artist.get_fontproperties().get_size() == SMALL.size * 0.72
    return small and artist.get_color() == MUTED and artist.get_horizontalalignment() == "center"


@pytest.mark.parametrize("draw", [a_sequence, some_bytes, a_timeline, some_bars, some_states, a_path])
def test_the_alternative_text_says_what_the_text_equivalent_says(draw: Callable[[], Picture]) -> None:
    picture = draw()
    assert words(picture.text).keys() <= words(picture.alt).keys()


# --- text and lines stand out: 1.4.3 and 1.4.11 ----------------------------------------------------------------------


@each_notebook
def test_the_text_of_a_stored_svg_stands_out_from_what_it_is_written_on(path: Path) -> None:
    for drawn in stored(path, SVG):
        assert_legible(ElementTree.fromstring(drawn.image))


@each_svg
def test_the_text_of_an_svg_stands_out_whatever_its_colours(draw: Callable[[], Picture]) -> None:
    assert_legible(svg(draw()))


def lines_of(root: ElementTree.Element) -> set[str]:
    """The colours of lines, heads of arrows and dots, but not of what only decorates."""
    names = {f"{NAME}polyline": "stroke", f"{NAME}polygon": "fill", f"{NAME}circle": "fill"}
    return {element.get(names[element.tag], "") for element in root.iter() if element.tag in names} - {GRID, EDGE}


@each_notebook
def test_the_lines_of_a_stored_svg_stand_out_from_the_card(path: Path) -> None:
    colours = set().union(*(lines_of(ElementTree.fromstring(drawn.image)) for drawn in stored(path, SVG)))
    assert [colour for colour in colours if contrast(colour, CARD) < 3] == []


@each_svg
def test_the_lines_of_an_svg_stand_out_whatever_its_colours(draw: Callable[[], Picture]) -> None:
    colours = lines_of(svg(draw()))
    assert len(colours) > 3
    assert [colour for colour in colours if contrast(colour, CARD) < 3] == []


@each_png
def test_what_is_drawn_on_a_png_stands_out(draw: Callable[[], Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.colors import to_hex
    from matplotlib.lines import Line2D
    from matplotlib.patches import Circle, FancyBboxPatch, Polygon
    from matplotlib.text import Text

    boxes: list[tuple[Any, str]] = []  # in the order in which they hide one another
    texts = 0
    for artist in on_canvas(draw, monkeypatch).artists:
        match artist:
            case Text() if artist.get_text():
                texts += 1
                area = artist.get_window_extent()
                middle = ((area.x0 + area.x1) / 2, (area.y0 + area.y1) / 2)
                below = [fill for box, fill in boxes if box.contains(*middle)]
                assert contrast(to_hex(artist.get_color()), below[-1]) >= 4.5, artist.get_text()
            case FancyBboxPatch():
                fill, edge = to_hex(artist.get_facecolor()), artist.get_edgecolor()
                boxes.append((artist.get_window_extent(), fill))
                if edge[3] and to_hex(edge) != EDGE:
                    assert contrast(to_hex(edge), CARD) >= 3, edge
            case Line2D() if artist.get_color() not in (GRID, EDGE):
                assert contrast(to_hex(artist.get_color()), CARD) >= 3, artist.get_color()
            case Polygon() | Circle():
                assert contrast(to_hex(artist.get_facecolor()), CARD) >= 3, artist.get_facecolor()
    assert texts > 4


@each_notebook
def test_a_stored_png_brings_its_own_background(path: Path) -> None:
    for drawn in stored(path, PNG):
        image = Image.open(io.BytesIO(base64.b64decode(drawn.image))).convert("RGBA")
        pixels = Counter(image.crop((3, 3, image.width - 3, image.height - 3)).get_flattened_data())
        card = tuple(int(CARD[i : i + 2], 16) for i in (1, 3, 5))
        beyond = sum(count for (*_, alpha), count in pixels.items() if alpha < 255)
        assert {image.getpixel((x, image.height // 2)) for x in (20, image.width - 20)} == {(*card, 255)}
        assert beyond < 500, "only what is beyond the round corners may show the page"
        pale = [tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for colour in DARKER]
        assert [colour for colour in pale if pixels[*colour, 255]] == [], "measure again: its lines are too pale"


@each_notebook
def test_no_text_of_a_picture_is_smaller_than_ten_pixels(path: Path) -> None:
    roots = [ElementTree.fromstring(drawn.image) for drawn in stored(path, SVG)]
    sizes = [number(element, "font-size") for root in roots for element in root.iter() if element.get("font-size")]
    assert [size for size in sizes if size < 10] == []
    assert [root.get("width") for root in roots if number(root, "width") > 900] == []
    assert SMALL.size >= 10


# --- no meaning by colour alone: 1.4.1 --------------------------------------------------------------------------------


def colourless(root: ElementTree.Element) -> list[tuple[str, ...]]:
    """The shapes of a drawing: what is left of it for who sees no colours."""
    shape = ("points", "r", "stroke-dasharray")
    marks = (f"{NAME}polyline", f"{NAME}polygon", f"{NAME}circle")
    found = (element for element in root.iter() if element.tag in marks)
    return sorted((element.tag, *(str(element.get(name)) for name in shape)) for element in found)


def test_each_kind_of_arrow_has_a_shape_of_its_own() -> None:
    drawn = {
        kind: colourless(svg(sequence(["client", "server"], [Arrow("client", "server", "label", kind)])))
        for kind in KINDS
    }
    assert drawn.keys() == ARROWS.keys()
    assert [(a, b) for a, b in itertools.combinations(drawn, 2) if drawn[a] == drawn[b]] == []


def test_each_kind_of_frame_has_a_shape_of_its_own() -> None:
    drawn = {}
    for kind in KINDS:
        card = SvgCard()
        _draw_mark(card, kind, "client", 50, 50)
        drawn[kind] = colourless(ElementTree.fromstring(card.render(100, "", "")))
    assert [(a, b) for a, b in itertools.combinations(drawn, 2) if drawn[a] == drawn[b]] == []


def test_fields_of_different_colours_do_not_touch_and_each_is_named() -> None:
    root = svg(some_bytes())
    _, *boxes = root.iter(f"{NAME}rect")
    assert len({box.get("fill") for box in boxes}) == len(boxes) == 8
    for left, right in itertools.pairwise(boxes):
        assert number(right, "x") - number(left, "x") - number(left, "width") >= 2
    assert {f"colour {i}" for i in range(7)} <= set(labels(root))


def test_every_lane_and_every_state_is_named_whatever_its_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"client", "lane 0", "lane 3"} <= written(on_canvas(a_timeline, monkeypatch).artists)
    assert {"IDLE", "READY", "SHUTDOWN"} <= written(on_canvas(some_states, monkeypatch).artists)


def test_a_state_without_room_for_its_name_is_found_by_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"CONNECTING at 1 s", "TRANSIENT_FAILURE at 1.01 s"} <= written(on_canvas(some_states, monkeypatch).artists)


def written(artists: list[Any]) -> set[str]:
    return {artist.get_text() for artist in artists if hasattr(artist, "get_text")}


def without_style(markup: str) -> str:
    return re.sub(r"""\s(?:style|class)=(?:"[^"]*"|'[^']*')""", "", markup)


def test_what_a_check_found_is_said_in_words() -> None:
    shown = [without_style(result._repr_html_()) for result in RESULTS]
    assert [word in text for word, text in zip(("not attempted", "not yet", "solved"), shown, strict=True)] == [
        True
    ] * 3


def test_whether_a_server_runs_is_said_in_words() -> None:
    with BackgroundServer(TeamsServicer()) as server:
        running = without_style(server._repr_html_())
    assert "running" in running
    assert "stopped" in without_style(server._repr_html_())


MOUSE = re.compile(r"\bon\w+=|<button|<input|\btitle=|tabindex|<script")


def html(path: Path) -> list[str]:
    """What the cells of a notebook show as HTML."""
    outputs = [output.get("data", {}) for cell in code_cells(path) for output in cell.outputs]
    return [str(data["text/html"]) for data in outputs if "text/html" in data]


@each_notebook
def test_what_a_cell_shows_needs_no_mouse(path: Path) -> None:
    assert [text for text in html(path) if MOUSE.search(text)] == []


@each_notebook
def test_what_a_cell_folds_away_or_puts_into_a_table_has_a_heading(path: Path) -> None:
    assert [text for text in html(path) if text.count("<details") > text.count("<summary")] == []
    assert [text for text in html(path) if "<table" in text and "<th" not in text] == []


COLOURS = (
    r"\b(?i:red|green|blue|orange|purple|yellow|gr[ae]y|vermil+ion|pink|teal|cyan|magenta|violet|brown|white|"
    r"black(?! hole))\b"
)


@each_page
def test_the_text_points_at_nothing_by_its_colour(page: Path) -> None:
    assert re.findall(rf"[^.\n]*{COLOURS}[^.\n]*", markdown(page)) == []


# --- headings, links, tables: 1.3.1, 2.4.4, 2.4.6 ---------------------------------------------------------------------


@each_notebook
def test_the_one_h1_opens_the_notebook_and_no_level_is_skipped(path: Path) -> None:
    levels = [level for level, _ in headings(load(path))]
    assert load(path).cells[0].source.startswith("# ")
    assert levels.count(1) == 1
    assert [step for step in itertools.pairwise(levels) if step[1] > step[0] + 1] == []


@each_notebook
def test_no_two_headings_of_a_notebook_are_the_same(path: Path) -> None:
    assert [name for name, count in Counter(name for _, name in headings(load(path))).items() if count > 1] == []


@each_page
def test_no_heading_is_empty(page: Path) -> None:
    assert re.findall(r"^ {0,3}#{1,6} *#*$", markdown(page), re.MULTILINE) == []


LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)")
VAGUE = r"(?i)\W*(?:click )?(?:here|this|that|link|more|read more|page|source|docs|below|above|\d+|https?://\S*)?\W*"


def links(page: Path) -> list[tuple[str, str]]:
    """(text, target) of every link."""
    cells = [cell.source for cell in load(page).cells if cell.cell_type == "markdown"] if page in PATHS else []
    return LINK.findall(without_blocks("\n\n".join(cells) or page.read_text(encoding="utf-8")))


@each_page
def test_a_link_says_where_it_goes(page: Path) -> None:
    assert [(text, target) for text, target in links(page) if re.fullmatch(VAGUE, text)] == []
    assert re.findall(r"(?<![(<\w])https?://\S+", LINK.sub("", markdown(page))) == []


@each_page
def test_links_with_the_same_words_go_to_the_same_place(page: Path) -> None:
    targets: dict[str, set[str]] = {}
    for text, target in links(page):
        targets.setdefault(text.casefold(), set()).add(target)
    assert {text: places for text, places in targets.items() if len(places) > 1} == {}


@each_page
def test_every_column_of_a_table_has_a_heading(page: Path) -> None:
    heads = re.findall(r"^ *\|(.*)\| *\n *\|[-:| ]+\| *$", markdown(page), re.MULTILINE)
    assert [head for head in heads if not all(cell.strip() for cell in head.split("|"))] == []


@each_page
def test_no_cell_of_a_table_says_something_with_a_sign_alone(page: Path) -> None:
    rows = re.findall(r"^ *\|(.*)\| *$", markdown(page), re.MULTILINE)
    cells = [cell.strip() for row in rows if not re.fullmatch(r"[-:| ]+", row) for cell in row.split("|")]
    assert [cell for cell in cells if cell and not re.search(r"\w|…", cell)] == []


@each_page
def test_what_is_folded_away_says_what_it_is(page: Path) -> None:
    text = markdown(page)
    summaries = re.findall(r"<details[^>]*>\s*<summary>(.*?)</summary>", text, re.DOTALL)
    assert len(summaries) == len(re.findall(r"<details", text))
    assert [summary for summary in summaries if len(re.findall(r"\w+", summary)) < 4] == []
    assert [summary for summary, count in Counter(summaries).items() if count > 1] == []


# --- in JupyterLab, in both themes ------------------------------------------------------------------------------------

RESULTS = [
    Result("03.1", "not attempted"),
    Result("03.1", "not yet", "`get_team` returned None for Chicago."),
    Result("03.1", "solved", "`get_team` knows Chicago."),
]
HINT = exercises.Note("Hint 1 of 2", "Call `GetTeam` with a `timeout`.", "stub.GetTeam(request, timeout=5)")
CARDS = "cards.ipynb"  # what no notebook stores, because nobody has solved anything in them


@pytest.fixture(scope="module")
def window(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator["Page"]:
    """JupyterLab on a copy of the course. It lays out all cells, also those out of sight."""
    from tools import lab

    folder = tmp_path_factory.mktemp("lab")
    course = lab.copy_course(folder / "course")
    with BackgroundServer(TeamsServicer()) as server:
        shown = [each._repr_html_() for each in (*RESULTS, HINT, server)]
    shown.append(server._repr_html_())
    outputs = [nbformat.v4.new_output("display_data", {"text/html": each}) for each in shown]
    cards = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])
    nbformat.write(cards, course / "notebooks" / CARDS)
    settings = {"notebook-extension/tracker": {"windowingMode": "none", "kernelShutdown": True}}
    with lab.running(course, folder / "home", settings) as address, browser.new_context() as context:
        window = context.new_page()
        window.goto(f"{address}/lab")
        window.wait_for_function("() => window.jupyterapp")
        window.evaluate("() => window.jupyterapp.restored")
        yield window


class Opened(NamedTuple):
    """A notebook in JupyterLab."""

    name: str
    at_first: str
    """The text of its outputs before any cell is run: JupyterLab does not trust the notebook yet."""
    window: "Page"
    """It now shows what a learner sees who has run all cells, and unfolded what is folded away."""


@pytest.fixture(scope="module", params=[*(path.name for path in PATHS), CARDS])
def opened(window: "Page", request: pytest.FixtureRequest) -> Opened:
    window.evaluate(
        """async path => {
            const { commands } = window.jupyterapp;
            window.panel?.dispose();
            window.panel = await commands.execute("docmanager:open", { path });
            await panel.context.ready;
            window.cells = panel.content.widgets;
        }""",
        f"notebooks/{request.param}",
    )
    window.wait_for_function(
        """() => window.cells.every(({ model, node }) => model.type === "code"
            ? node.querySelectorAll(".jp-OutputArea-output").length >= model.outputs.length
            : node.querySelector(".jp-RenderedMarkdown")?.textContent)"""
    )
    at_first = " ".join(window.locator(".jp-OutputArea-output").all_inner_texts())
    window.evaluate("() => cells.forEach(cell => { if (cell.model.type === 'code') cell.model.trusted = true; })")
    pictures = len(alternative_texts(request.param))
    window.wait_for_function(
        "count => document.querySelectorAll('.jp-OutputArea-output img').length === count", arg=pictures
    )
    window.evaluate("() => document.querySelectorAll('details').forEach(details => { details.open = true; })")
    return Opened(request.param, at_first, window)


def alternative_texts(name: str) -> list[str]:
    """Those that a notebook holds for the pictures in its outputs, in order."""
    path = series.NOTEBOOKS / name
    outputs = [output for cell in code_cells(path) for output in cell.outputs] if path in PATHS else []
    return [output.metadata[mime].alt for output in outputs for mime in (SVG, PNG) if mime in output.get("data", {})]


def test_jupyterlab_shows_the_words_of_a_drawing_until_its_cell_is_run(opened: Opened) -> None:
    drawn = stored(series.NOTEBOOKS / opened.name, SVG) if opened.name != CARDS else []
    assert [text for _, text, _ in drawn if squeezed(text) not in squeezed(opened.at_first)] == []


def test_jupyterlab_gives_a_picture_its_alternative_text(opened: Opened) -> None:
    shown = opened.window.locator(".jp-OutputArea-output img").evaluate_all("images => images.map(({ alt }) => alt)")
    assert shown == alternative_texts(opened.name), (
        "is teams_lib installed again? `pip install -e .` brings the extension"
    )


def test_axe_finds_nothing_in_jupyterlab_that_shuts_a_reader_out(opened: Opened) -> None:
    from axe_playwright_python.sync_playwright import Axe

    ours = {"include": [[".jp-RenderedMarkdown"], [".jp-OutputArea-output"]]}
    # It takes for invisible what must be scrolled to, so the next test reads the colours itself.
    found = Axe().run(opened.window, ours, {"rules": {"color-contrast": {"enabled": False}}}).response
    assert [(rule["id"], node["html"]) for rule in found["violations"] for node in rule["nodes"]] == []
    assert found["passes"] or opened.name == CARDS


INKS = """() => {
    const inks = new Map();
    for (const element of document.querySelectorAll(".jp-RenderedMarkdown *, .jp-OutputArea-output *")) {
        const text = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.data).join("").trim();
        if (!text || element.matches("pre span, style, script")) continue;
        const { color, fontSize, fontWeight } = getComputedStyle(element);
        const large = parseFloat(fontSize) >= (fontWeight >= 700 ? 18.66 : 24);
        const papers = [];
        let faded = false;
        for (let below = element; below; below = below.parentElement) {
            const style = getComputedStyle(below);
            faded ||= style.opacity !== "1";
            papers.push(style.backgroundColor);
            if (/^rgb\\(/.test(style.backgroundColor)) break;
        }
        inks.set([color, large, faded, ...papers].join(), { color, large, faded, papers, text: text.slice(0, 60) });
    }
    return [...inks.values()];
}"""


def mixed(colour: str, below: str) -> str:
    """A colour of CSS, which may be transparent, on an opaque one."""
    *parts, alpha = [float(part) for part in [*re.findall(r"[\d.]+", colour), "1"][:4]]
    under = [int(below[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(p * alpha + u * (1 - alpha)):02x}" for p, u in zip(parts, under, strict=True))


def test_text_stands_out_in_both_themes_of_jupyterlab(opened: Opened) -> None:
    window = opened.window
    current = window.evaluate("() => document.body.dataset.jpThemeName")
    for theme in sorted(("JupyterLab Light", "JupyterLab Dark"), key=lambda theme: theme != current):
        window.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        window.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
        inks = window.evaluate(INKS)
        assert inks
        for ink in inks:
            paper = "#ffffff"
            for colour in reversed(ink["papers"]):
                paper = mixed(colour, paper)
            assert not ink["faded"], (theme, ink)
            assert contrast(mixed(ink["color"], paper), paper) >= (3 if ink["large"] else 4.5), (theme, ink)


@pytest.mark.parametrize("opened", [PATHS[0].name], indirect=True)
def test_what_is_folded_away_opens_without_a_mouse(opened: Opened) -> None:
    window = opened.window
    summary = window.locator(".jp-RenderedMarkdown summary").first
    summary.focus()
    for is_open in (True, False):
        summary.evaluate("(summary, open) => { summary.parentElement.open = !open; }", is_open)
        window.keyboard.press("Enter")
        window.wait_for_function("open => document.activeElement.parentElement.open === open", arg=is_open)


def test_what_a_check_shows_needs_no_mouse() -> None:
    assert MOUSE.findall(" ".join(each._repr_html_() for each in (*RESULTS, HINT))) == []
