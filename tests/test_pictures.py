"""The drawings of the notebooks: an image for the eye, and a text equivalent that says the same."""

import io
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from teams_lib.pictures import (
    Arrow,
    Field,
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
from teams_lib.pictures._card import PLACES, colours_of
from tests.drawings import NAME, assert_placed, number, svg, texts

import pytest
from PIL import Image

LONG = "a label that goes on and on, far beyond what fits, with /a/path/Without.AnySpace" * 3


def a_sequence() -> Picture:
    return sequence(
        ["client", "server"],
        [
            Arrow("client", "server", "TeamRequest(city='Chicago')"),
            Note("server", "looks it up"),
            Arrow("server", "client", "UNAVAILABLE", kind="error"),
        ],
        title="A call that fails",
    )


def a_timeline() -> Picture:
    return timeline(
        {"client": [Span(100.0, 100.3, "waits"), Moment(100.3, "gives up")], "server": [Span(100.1, 102.0, "works on")]}
    )


def some_bytes() -> Picture:
    return byte_fields(
        b"\x0a\x07Chicago\x12", [Field(0, 1, "tag", "field 1"), Field(1, 2, "length", "7"), Field(2, 9, "value")]
    )


def some_bars() -> Picture:
    return bars({"unary": 3204.0, "stream": 13501.0}, unit="messages/s", text="A stream is faster: True")


def some_states() -> Picture:
    return states([(5.0, "IDLE"), (5.2, "CONNECTING"), (5.201, "CONNECTING"), (5.21, "READY")], end=8.0, unit="s")


def a_path() -> Picture:
    return path_of_a_call(
        [Step("serialise", "client", 5e-7, "9 bytes"), Step("travel", "network"), Step("handle", "server", 12e-6)]
    )


SVG = [a_sequence, some_bytes]
PNG = [a_timeline, some_bars, some_states, a_path]
each_picture = pytest.mark.parametrize("draw", [*SVG, *PNG])
each_svg = pytest.mark.parametrize("draw", SVG)
each_png = pytest.mark.parametrize("draw", PNG)


def png(picture: Picture) -> Image.Image:
    assert isinstance(picture.image, bytes)
    return Image.open(io.BytesIO(picture.image))


@each_svg
def test_what_repeats_is_an_svg_which_nbval_compares(draw: Callable[[], Picture]) -> None:
    picture = draw()
    data, metadata = picture._repr_mimebundle_()

    assert data == {"image/svg+xml": picture.image, "text/plain": repr(picture)}
    assert metadata == {"image/svg+xml": {"width": picture.width, "alt": picture.alt}}


@each_png
def test_what_is_measured_is_a_png_which_nbval_skips(draw: Callable[[], Picture]) -> None:
    picture = draw()
    data, metadata = picture._repr_mimebundle_()

    assert data["image/png"].startswith(b"\x89PNG\r\n\x1a\n")
    assert data == {"image/png": picture.image, "text/plain": repr(picture)}
    assert metadata == {"image/png": {"width": picture.width, "alt": picture.alt}}


@each_svg
def test_an_svg_has_a_size_and_says_what_it_shows(draw: Callable[[], Picture]) -> None:
    picture = draw()
    root = svg(picture)

    assert root.get("role") == "img"
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert number(root, "width") == picture.width <= 900
    assert root.findtext(f"{NAME}title", "").startswith(("Sequence diagram", "Bytes by field"))
    assert root.findtext(f"{NAME}desc") == picture.text


@each_svg
def test_an_svg_has_no_ids_which_would_clash_on_a_page_with_two(draw: Callable[[], Picture]) -> None:
    assert not [element for element in svg(draw()).iter() if element.get("id")]


@each_png
def test_a_png_has_two_pixels_for_each_displayed_one_and_is_small(draw: Callable[[], Picture]) -> None:
    picture = draw()

    assert png(picture).width == 2 * picture.width
    assert picture.width <= 900
    assert len(picture.image) < 60_000


@each_png
def test_the_card_is_light_and_its_corners_are_transparent(draw: Callable[[], Picture]) -> None:
    image = png(draw()).convert("RGBA")

    assert image.getpixel((0, 0)) == (255, 255, 255, 0)
    assert image.getpixel((20, image.height // 2)) == (0xFB, 0xFA, 0xF6, 255)


@each_picture
def test_the_same_input_gives_the_same_bytes(draw: Callable[[], Picture]) -> None:
    assert draw() == draw()


def test_the_caller_may_write_the_alternative_text() -> None:
    assert bars({"one": 1}, text="text", alt="One bar").alt == "One bar"


def test_the_text_of_a_sequence_has_a_line_for_each_event() -> None:
    assert a_sequence().text.splitlines() == [
        "A call that fails",
        "client → server  TeamRequest(city='Chicago')",
        "server           looks it up",
        "server → client  UNAVAILABLE",
    ]


def test_the_text_of_a_timeline_is_its_labels_in_order_of_their_start() -> None:
    assert a_timeline().text.splitlines() == ["client  waits", "server  works on", "client  gives up"]


def test_the_alternative_text_of_a_timeline_names_no_time_that_nobody_could_see() -> None:
    alt = timeline({"client": [Span(4e-9, 0.0234, "waits"), Moment(0, "calls")]}).alt
    assert "waits from 0 ms to 23.4 ms" in alt


def test_a_timeline_whose_order_varies_takes_its_text_from_the_caller() -> None:
    assert timeline({"a": [Moment(0.1, "one")], "b": [Moment(0.1, "two")]}, text="Both answer").text == "Both answer"


def test_the_text_of_bytes_is_a_table_that_names_the_undescribed_ones_too() -> None:
    assert some_bytes().text.splitlines() == [
        "0a                   | tag: field 1",
        "07                   | length: 7",
        "43 68 69 63 61 67 6f | value",
        "12                   | (not described)",
    ]


def test_labels_that_are_the_same_up_to_a_colon_have_one_colour() -> None:
    parts = [Field(0, 1, "city: key"), Field(1, 2, "city: length"), Field(2, 3, "city"), Field(3, 4, "nickname")]
    _, *boxes = svg(byte_fields(bytes(4), parts)).iter(f"{NAME}rect")

    key, length, city, nickname = [box.get("fill") for box in boxes]
    assert key == length == city != nickname


def test_names_that_begin_with_a_colon_keep_their_own_colours() -> None:
    _, *boxes = svg(byte_fields(bytes(2), [Field(0, 1, ":path"), Field(1, 2, ":status")])).iter(f"{NAME}rect")

    path, status = [box.get("fill") for box in boxes]
    assert path != status


def test_bytes_that_are_not_drawn_are_counted() -> None:
    picture = byte_fields(b"\x0a", [Field(0, 1, "key")], more=999)

    assert picture.text.splitlines() == ["0a | key", "… 999 more bytes"]
    assert "… 999 more bytes" in [text.text for text in texts(svg(picture))]


def test_the_text_of_bytes_shortens_a_long_field() -> None:
    assert byte_fields(bytes(40), [Field(0, 40, "zeros")]).text == f"{'00 ' * 12}… (40 bytes) | zeros"


def test_the_text_of_states_is_their_order_without_repeats() -> None:
    assert some_states().text == "IDLE → CONNECTING → READY"


def test_the_text_of_a_path_numbers_its_steps_and_leaves_out_the_times() -> None:
    assert a_path().text.splitlines() == ["1. client   serialise (9 bytes)", "2. network  travel", "3. server   handle"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: timeline({LONG: [Moment(0, LONG), Span(0, 9e-9, LONG), Span(1, 9, LONG), Moment(9, LONG)]}, title=LONG),
        lambda: bars({LONG: 1e12, "nothing": 0}, unit="requests", title=LONG, text=LONG),
        lambda: states([(0, LONG), (1, "short")], end=2, title=LONG),
        lambda: path_of_a_call([Step(LONG, place, 1.0, LONG) for place in "abcd"], title=LONG),
    ],
)
def test_nothing_is_drawn_over_the_edge_of_the_card_however_long_the_labels(draw: Callable[[], Picture]) -> None:
    image = png(draw()).convert("RGB")

    assert image.width <= 2 * 900
    for x in (20, image.width - 20):  # columns of pixels in the margin
        assert {image.getpixel((x, y)) for y in range(30, image.height - 30)} == {(0xFB, 0xFA, 0xF6)}


@pytest.mark.parametrize(
    "draw",
    [
        a_sequence,
        some_bytes,
        lambda: sequence(
            list("abcdef"), [Arrow("a", "f", LONG), Arrow("b", "a", LONG), Note("a", LONG), Note("f", LONG)]
        ),
        lambda: sequence([LONG[:60], LONG[1:60]], [Note(LONG[:60], LONG)], title=LONG),
        lambda: sequence(["a", "b"], [Arrow("a", "b", "\0" * 99), Arrow("b", "a", "球" * 99), Note("a", "🏈" * 30)]),
        lambda: byte_fields(bytes(384), [Field(i, i + 1, LONG) for i in (0, 1, 23, 383)], title=LONG, more=10**9),
    ],
)
def test_text_lies_within_the_card_and_on_no_other_text(draw: Callable[[], Picture]) -> None:
    assert_placed(draw())


@pytest.mark.parametrize(
    "draw",
    [
        lambda: timeline({"client": [Moment(7, "sent")]}),
        lambda: timeline({"client": [Moment(7), Span(7, 7)], "idle": []}, text="At once"),
        lambda: states([(3, "IDLE")], end=3),
        lambda: bars({"nothing": 0}, text="Nothing"),
        lambda: bars({"same": 100, "again": 100}, log=True, text="The same"),
        lambda: byte_fields(b"\0", []),
    ],
)
def test_the_smallest_inputs_are_drawn_too(draw: Callable[[], Picture]) -> None:
    assert draw().image


def test_characters_are_drawn_as_they_are_and_never_warn(recwarn: pytest.WarningsRecorder) -> None:
    dollars = bars({"$x$ and $y_{1}$": 1, "🏈": 2}, text="Dollars and a football")

    assert dollars.image
    assert not recwarn.list


def test_characters_that_xml_forbids_are_written_as_python_writes_them() -> None:
    label = "<&> ]]> \x00 \x1b[31m \r \x7f \x85 \ud800 \uffff é 球 🏈"
    picture = sequence(["a", "b"], [Arrow("a", "b", label)], title=label, alt=label)

    shown = r"<&> ]]> \x00 \x1b[31m \r \x7f \x85 \ud800 \uffff é 球 🏈"
    assert [text.text for text in texts(svg(picture))] == [shown, "a", "b", shown]
    assert picture.alt == shown
    assert picture.text.encode()


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: sequence(["client"], [Note("client", "alone")]), "2 to 6 different participants"),
        (lambda: sequence(["a", "a"], [Note("a", "twice")]), "2 to 6 different participants"),
        (lambda: sequence(["a", "b"], []), "at least one event"),
        (lambda: sequence(["a", "b"], [Arrow("a", "c", "lost")]), "'c' is not one of the participants"),
        (lambda: sequence(["a", "b"], [Arrow("a", "a", "self")]), r"use Note\('a', …\) instead"),
        (lambda: sequence(["a", "b"], [Arrow("a", "b", "odd", kind=_any("odd"))]), "choose from headers, message"),
        (lambda: timeline({"a": []}), "at least one Span or Moment"),
        (lambda: timeline({"a": [Span(2, 1, "back")]}), "the end after the start"),
        (lambda: timeline({"a": [Moment(float("nan"), "when")]}), "times in seconds"),
        (lambda: timeline({"a": [Moment(1)]}), "pass text="),
        (lambda: timeline({"a": [Moment(1, "x")]}, unit=_any("hours")), "choose from µs, ms, s"),
        (lambda: byte_fields(b"", []), "pass a slice"),
        (lambda: byte_fields(bytes(385), []), "pass a slice"),
        (lambda: byte_fields(b"abc", [Field(2, 4, "tail")]), r"'tail' \(2 to 4\) is not within the 3 bytes"),
        (lambda: byte_fields(b"abc", [Field(0, 2, "one"), Field(1, 3, "two")]), "inside the field before it"),
        (lambda: bars({}, text="none"), "at least one value"),
        (lambda: bars({"loss": -1}, text="none"), "'loss' is -1"),
        (lambda: bars({"zero": 0}, log=True, text="none"), "more than zero where log=True"),
        (lambda: bars({"one": 1}, text=" "), "need text="),
        (lambda: states([], end=1), "at least one change"),
        (lambda: states([(1, "a"), (0, "b")], end=2), "in order of time"),
        (lambda: states([(1, "a")], end=0), "`end` must not come before"),
        (lambda: path_of_a_call([]), "one to four places"),
        (lambda: path_of_a_call([Step("back", "client", -1)]), "'back' takes -1 s"),
    ],
)
def test_wrong_input_is_refused_with_a_way_out(draw: Callable[[], Picture], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()


def test_an_svg_needs_no_matplotlib() -> None:
    program = """if True:
        import sys
        from teams_lib.pictures import Arrow, byte_fields, sequence
        sequence(["a", "b"], [Arrow("a", "b", "c")])
        byte_fields(b"abc", [])
        print("matplotlib" in sys.modules, "PIL" in sys.modules)
    """

    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8").stdout == "False False\n"
    )


def _any(value: object) -> Any:
    """A value that the types do not allow."""
    return value


def test_a_lane_that_names_a_place_has_the_colour_of_the_place() -> None:
    colours = colours_of(["server hands over", "client reads", "somebody"])
    assert (colours["server hands over"], colours["client reads"]) == (PLACES["server"], PLACES["client"])
    assert len(set(colours.values())) == 3


def test_two_clients_are_told_apart() -> None:
    assert len(set(colours_of(["client A", "client B", "server"]).values())) == 3
