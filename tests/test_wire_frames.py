"""The frames of HTTP/2 in recordings made by hand, good and bad ones."""

import base64
import ssl
from collections.abc import Sequence

from teams_lib.wire.frames import (
    PREFACE,
    Ciphertext,
    ContinuationFrame,
    DataFrame,
    End,
    Frame,
    GoAwayFrame,
    Header,
    HeadersFrame,
    PingFrame,
    Preface,
    PriorityFrame,
    Problem,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    UnknownFrame,
    WindowUpdateFrame,
)
from teams_lib.wire.reader import MAX_HEADER_LIST, read_frames
from teams_lib.wire.recording import Chunk, Recording, Sender

import hpack
import hyperframe.frame as hf
import pytest

OPENING = PREFACE + hf.SettingsFrame().serialize()
REQUEST = ((":method", "POST"), (":path", "/Teams/GetTeam"), ("te", "trailers"))


def recorded(*chunks: tuple[Sender, bytes]) -> Recording:
    return Recording(tuple(Chunk(1, sender, float(at), data) for at, (sender, data) in enumerate(chunks)))


def client(*sent: bytes | hf.Frame) -> list[Frame]:
    """What a client sent behind its preface and settings, decoded."""
    data = b"".join(each if isinstance(each, bytes) else each.serialize() for each in sent)
    preface, settings, *rest = read_frames(recorded(("client", OPENING + data)))
    assert (preface.kind, settings.kind) == ("PREFACE", "SETTINGS")
    return rest


def raw(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame, however wrong."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def headers(stream: int, pairs: Sequence[tuple[str, str]] = REQUEST, *flags: str) -> hf.HeadersFrame:
    """HEADERS of an encoder without memory."""
    return hf.HeadersFrame(stream, hpack.Encoder().encode(pairs), flags=("END_HEADERS", *flags))


def whats(found: Sequence[Frame]) -> list[str]:
    return [frame.what for frame in found if isinstance(frame, Problem)]


# What each frame says.


def test_a_client_begins_with_the_preface() -> None:
    [preface] = read_frames(recorded(("client", PREFACE)))
    assert isinstance(preface, Preface)
    assert repr(preface) == "PREFACE client → server, 24 bytes"
    assert (preface.offset, preface.length, preface.size) == (0, 24, 24)


def test_every_frame_says_who_sent_it_when_and_where_it_stands() -> None:
    ping = hf.PingFrame(opaque_data=b"12345678").serialize()
    *_, frame = read_frames(recorded(("client", OPENING + ping[:5]), ("client", ping[5:])))
    assert (frame.connection, frame.sender, frame.at, frame.offset) == (1, "client", 1.0, len(OPENING))
    assert (frame.raw, frame.size, frame.length) == (ping, 17, 8)


def test_data() -> None:
    [frame] = client(hf.DataFrame(1, b"abc", flags=["END_STREAM"]))
    assert isinstance(frame, DataFrame)
    assert frame.data == b"abc"
    assert repr(frame) == "DATA client → server, stream 1, 3 bytes, END_STREAM"


def test_padding_is_not_data() -> None:
    [frame] = client(hf.DataFrame(1, b"abc", pad_length=4, flags=["PADDED"]))
    assert isinstance(frame, DataFrame)
    assert (frame.data, frame.length) == (b"abc", 8)
    assert [(part.label, part.value) for part in frame.parts[4:]] == [
        ("pad length", "4"),
        ("data", ""),
        ("padding", ""),
    ]


def test_headers() -> None:
    [frame] = client(headers(1, REQUEST, "END_STREAM"))
    assert isinstance(frame, HeadersFrame)
    assert frame.headers == tuple(Header(*pair) for pair in REQUEST)
    assert frame.flags == ("END_STREAM", "END_HEADERS")
    assert repr(frame) == f"HEADERS client → server, stream 1, {frame.length} bytes, END_STREAM, END_HEADERS"


def test_headers_with_padding_and_priority() -> None:
    frame = headers(1, REQUEST, "PADDED", "PRIORITY")
    frame.pad_length, frame.depends_on, frame.stream_weight, frame.exclusive = 3, 5, 15, True
    [found] = client(frame)
    assert isinstance(found, HeadersFrame)
    assert found.headers == tuple(Header(*pair) for pair in REQUEST)
    assert [(part.label, part.value) for part in found.parts[4:]] == [
        ("pad length", "3"),
        ("depends on", "stream 5, exclusive"),
        ("weight", "16"),
        ("HPACK block", "3 headers"),
        ("padding", ""),
    ]


def test_headers_go_on_in_continuation_frames() -> None:
    block = hpack.Encoder().encode(REQUEST)
    found = client(
        hf.HeadersFrame(1, block[:4]),
        hf.ContinuationFrame(1, block[4:9]),
        hf.ContinuationFrame(1, block[9:], flags=["END_HEADERS"]),
    )
    first, second, third = found
    assert isinstance(first, HeadersFrame)
    assert (first.headers, first.block) == (tuple(Header(*pair) for pair in REQUEST), block)
    assert isinstance(second, ContinuationFrame)
    assert isinstance(third, ContinuationFrame)
    assert third.flags == ("END_HEADERS",)


def test_priority() -> None:
    [frame] = client(hf.PriorityFrame(3, depends_on=1, stream_weight=255, exclusive=True))
    assert isinstance(frame, PriorityFrame)
    assert (frame.depends_on, frame.weight, frame.exclusive) == (1, 256, True)


def test_rst_stream() -> None:
    [frame] = client(hf.RstStreamFrame(1, error_code=8))
    assert isinstance(frame, RstStreamFrame)
    assert repr(frame) == "RST_STREAM client → server, stream 1, 4 bytes, CANCEL"


def test_settings() -> None:
    [frame] = client(hf.SettingsFrame(settings={4: 65535, 99: 1}), hf.SettingsFrame(flags=["ACK"]))[:1]
    assert isinstance(frame, SettingsFrame)
    assert (frame.settings, frame.ack) == ({"INITIAL_WINDOW_SIZE": 65535, "0x63": 1}, False)
    assert repr(frame) == "SETTINGS client → server, stream 0, 12 bytes, INITIAL_WINDOW_SIZE = 65535, 0x63 = 1"


def test_an_acknowledgement_of_settings() -> None:
    [frame] = client(hf.SettingsFrame(flags=["ACK"]))
    assert isinstance(frame, SettingsFrame)
    assert (frame.settings, frame.ack) == ({}, True)


def test_push_promise() -> None:
    block = hpack.Encoder().encode(REQUEST)
    [frame] = client(hf.PushPromiseFrame(1, 2, block, pad_length=1, flags=["END_HEADERS", "PADDED"]))
    assert isinstance(frame, PushPromiseFrame)
    assert (frame.promised, frame.headers) == (2, tuple(Header(*pair) for pair in REQUEST))


def test_ping() -> None:
    ping, ack = client(hf.PingFrame(opaque_data=b"abcdefgh"), hf.PingFrame(opaque_data=b"abcdefgh", flags=["ACK"]))
    assert isinstance(ping, PingFrame)
    assert isinstance(ack, PingFrame)
    assert (ping.opaque, ping.ack, ack.ack) == (b"abcdefgh", False, True)
    assert repr(ping) == "PING client → server, stream 0, 8 bytes"  # what it carries differs from run to run


def test_goaway_with_debug_text() -> None:
    [frame] = client(hf.GoAwayFrame(last_stream_id=7, error_code=11, additional_data=b"too_many_pings"))
    assert isinstance(frame, GoAwayFrame)
    assert (frame.last_stream, frame.error, frame.debug) == (7, "ENHANCE_YOUR_CALM", b"too_many_pings")
    assert repr(frame).endswith("22 bytes, last stream 7, ENHANCE_YOUR_CALM, 'too_many_pings'")


def test_window_update() -> None:
    [frame] = client(hf.WindowUpdateFrame(3, 1024))
    assert isinstance(frame, WindowUpdateFrame)
    assert repr(frame) == "WINDOW_UPDATE client → server, stream 3, 4 bytes, increment 1024"


def test_an_unknown_type_and_an_unknown_error_keep_their_numbers() -> None:
    unknown, reset = client(raw(0xBE, 0x05, 1, b"xy"), hf.RstStreamFrame(1, error_code=0x1F))
    assert isinstance(unknown, UnknownFrame)
    assert (unknown.type, unknown.flags) == (0xBE, ())
    assert ("type", "0xbe") in [part[2:] for part in unknown.parts]
    assert ("flags", "0x05") in [part[2:] for part in unknown.parts]
    assert isinstance(reset, RstStreamFrame)
    assert reset.error == "0x1f"


def test_flags_that_a_type_does_not_define_are_ignored() -> None:
    [frame] = client(raw(0, 0xF1, 1, b"x"))
    assert frame.flags == ("END_STREAM",)


def test_the_end_of_a_direction_has_a_record() -> None:
    chunks = (
        Chunk(1, "client", 0.0, OPENING),
        Chunk(1, "client", 1.0, end="closed"),
        Chunk(1, "server", 2.0, end="reset"),
    )
    *_, closed, reset = read_frames(Recording(chunks))
    assert isinstance(closed, End)
    assert (closed.kind, closed.offset, closed.raw) == ("CLOSED", len(OPENING), b"")
    assert repr(reset) == "RESET server → client"


def test_frames_come_in_the_order_in_which_their_last_byte_arrived() -> None:
    long, short = hf.DataFrame(1, b"x" * 100).serialize(), hf.PingFrame(opaque_data=b"12345678").serialize()
    server = hf.SettingsFrame().serialize()
    found = read_frames(
        recorded(("client", OPENING), ("client", long[:50]), ("server", server + short), ("client", long[50:]))
    )
    assert [frame.kind for frame in found] == ["PREFACE", "SETTINGS", "SETTINGS", "PING", "DATA"]


def test_the_borders_of_chunks_mean_nothing() -> None:
    data = OPENING + headers(1).serialize() + hf.DataFrame(1, b"abc").serialize()
    whole = read_frames(recorded(("client", data)))
    single = read_frames(recorded(*(("client", bytes([byte])) for byte in data)))
    assert [(repr(frame), frame.offset, frame.raw) for frame in whole] == [
        (repr(frame), frame.offset, frame.raw) for frame in single
    ]


def test_connections_do_not_mix() -> None:
    data = [OPENING, headers(1).serialize()]
    chunks = [Chunk(number, "client", 0.0, each) for each in data for number in (1, 2)]
    assert [(frame.connection, frame.kind) for frame in read_frames(Recording(tuple(chunks)))] == [
        (1, "PREFACE"),
        (1, "SETTINGS"),
        (2, "PREFACE"),
        (2, "SETTINGS"),
        (1, "HEADERS"),
        (2, "HEADERS"),
    ]


# Parts.


@pytest.mark.parametrize(
    "frame",
    [
        hf.DataFrame(1, b"abc", pad_length=2, flags=["PADDED"]),
        hf.DataFrame(1),
        headers(1),
        hf.PriorityFrame(3, depends_on=1),
        hf.RstStreamFrame(1, error_code=8),
        hf.SettingsFrame(settings={1: 0, 3: 100}),
        hf.SettingsFrame(flags=["ACK"]),
        hf.PushPromiseFrame(1, 2, b"\x83", pad_length=1, flags=["END_HEADERS", "PADDED"]),
        hf.PingFrame(opaque_data=b"12345678"),
        hf.GoAwayFrame(last_stream_id=7, additional_data=b"bye"),
        hf.WindowUpdateFrame(3, 1024),
        raw(0xBE, 1, 1, b"xy"),
        raw(6, 0, 0, b"too short"),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_parts_cover_all_bytes_of_a_frame_without_gaps(frame: hf.Frame | bytes) -> None:
    [found] = client(frame)
    assert [part.start for part in found.parts] == [0, *(part.end for part in found.parts[:-1])]
    assert found.parts[-1].end == found.size


# Headers.


def binary(value: bytes) -> tuple[Header, ...]:
    block = hpack.Encoder().encode([(b"token-bin", value)])
    [frame] = client(hf.HeadersFrame(1, block, flags=["END_HEADERS"]))
    assert isinstance(frame, HeadersFrame)
    return frame.headers


@pytest.mark.parametrize("value", [b"", b"\0", b"\0\1", b"\xff\xfe\xfd", b"abcd"])
def test_binary_headers_are_base64_with_or_without_padding(value: bytes) -> None:
    padded = base64.b64encode(value)
    assert binary(padded) == binary(padded.rstrip(b"=")) == (Header("token-bin", value),)


def test_binary_headers_joined_by_commas_are_several() -> None:
    assert binary(b"YQ==,Yg") == (Header("token-bin", b"a"), Header("token-bin", b"b"))


def test_a_binary_header_that_begins_with_zero_is_raw() -> None:
    assert binary(b"\0\xff,\0") == (Header("token-bin", b"\xff,\0"),)


def test_a_binary_header_that_is_no_base64_stays_as_it_is() -> None:
    assert binary(b"not base64!") == (Header("token-bin", b"not base64!"),)


def test_text_that_is_no_utf8_is_escaped() -> None:
    [frame] = client(hf.HeadersFrame(1, hpack.Encoder().encode([(b"name", b"\xff")]), flags=["END_HEADERS"]))
    assert isinstance(frame, HeadersFrame)
    assert frame.headers == (Header("name", "\\xff"),)


@pytest.mark.parametrize(
    ("pairs", "flags", "role"),
    [
        (REQUEST, (), "request"),
        ([(":status", "103")], (), "informational"),
        ([(":status", "200"), ("content-type", "application/grpc")], (), "response"),
        ([(":status", "404")], ("END_STREAM",), "response"),
        ([(":status", "200"), ("grpc-status", "5")], ("END_STREAM",), "trailers-only"),
        ([("grpc-status", "0")], ("END_STREAM",), "trailers"),
    ],
)
def test_headers_have_a_role(pairs: Sequence[tuple[str, str]], flags: tuple[str, ...], role: str) -> None:
    [frame] = client(headers(1, pairs, *flags))
    assert isinstance(frame, HeadersFrame)
    assert frame.role == role


def test_each_direction_has_a_table_of_headers_of_its_own() -> None:
    ours, theirs = hpack.Encoder(), hpack.Encoder()
    chunks: list[tuple[Sender, bytes]] = [("client", OPENING), ("server", hf.SettingsFrame().serialize())]
    for stream in (1, 3, 5):
        ask, answer = [*REQUEST, ("x-asked", "yes")], [(":status", "200"), ("x-answered", "yes")]
        chunks.append(("client", hf.HeadersFrame(stream, ours.encode(ask), flags=["END_HEADERS"]).serialize()))
        chunks.append(("server", hf.HeadersFrame(stream, theirs.encode(answer), flags=["END_HEADERS"]).serialize()))
    found = [frame for frame in read_frames(recorded(*chunks)) if isinstance(frame, HeadersFrame)]
    assert [frame.headers[-1].name for frame in found] == ["x-asked", "x-answered"] * 3
    assert len(found[4].block) < len(found[0].block)


@pytest.mark.parametrize("size", [0, 100, 65536])
def test_a_table_has_the_size_that_the_reader_announced_and_the_writer_acknowledged(size: int) -> None:
    encoder = hpack.Encoder()
    first = hf.HeadersFrame(1, encoder.encode(REQUEST), flags=["END_HEADERS"]).serialize()
    encoder.header_table_size = size  # writes the new size into the next block, as it must
    second = hf.HeadersFrame(3, encoder.encode(REQUEST), flags=["END_HEADERS"]).serialize()
    found = read_frames(
        recorded(
            ("client", OPENING),
            ("server", hf.SettingsFrame(settings={1: size}).serialize()),
            ("client", first + hf.SettingsFrame(flags=["ACK"]).serialize() + second),
        )
    )
    assert whats(found) == []
    assert [len(frame.headers) for frame in found if isinstance(frame, HeadersFrame)] == [3, 3]


def test_a_table_larger_than_announced_is_an_error() -> None:
    encoder = hpack.Encoder()
    encoder.header_table_size = 65536
    found = client(hf.HeadersFrame(1, encoder.encode(REQUEST), flags=["END_HEADERS"]))
    assert "HPACK lost its state at byte 33 (InvalidTableSizeError)" in whats(found)[0]


def test_after_an_error_headers_say_that_they_are_not_readable() -> None:
    frame, problem, later = client(hf.HeadersFrame(1, b"\xff\xff", flags=["END_HEADERS"]), headers(3))
    assert isinstance(frame, HeadersFrame)
    assert isinstance(later, HeadersFrame)
    assert isinstance(problem, Problem)
    assert "HPACK lost its state at byte 33" in frame.problem
    assert frame.headers == later.headers == ()
    assert later.problem == frame.problem
    assert repr(later).endswith("END_HEADERS, headers not readable")
    assert later.role == ""


def test_a_bomb_of_headers_is_refused() -> None:
    encoder = hpack.Encoder()
    big = encoder.encode([("x", "y" * 4000)])
    bomb = big + b"\xbe" * (MAX_HEADER_LIST // 4000)  # one byte for each: the entry that the table got last
    found = client(raw(1, 4, 1, bomb), raw(1, 4, 3, b"\0" * (MAX_HEADER_LIST + 1)))
    assert whats(found) == ["headers can not be read: HPACK lost its state at byte 33 (OversizedHeaderListError)"]


def test_a_block_larger_than_the_limit_is_refused() -> None:
    found = client(raw(1, 4, 1, b"\x83" * (MAX_HEADER_LIST + 1)))
    assert f"a block of more than {MAX_HEADER_LIST} bytes" in whats(found)[0]


# What is wrong.


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (raw(6, 0, 0, b"short"), "PING frame: PING frame must have 8 byte length: got 5"),
        (raw(6, 0, 1, b"12345678"), "PING frame: Stream ID must be zero for PingFrame with stream_id=1"),
        (raw(0, 0, 0, b"x"), "DATA frame: Stream ID must be non-zero for DataFrame"),
        (raw(0, 8, 1, b"\x05xx"), "DATA frame: Padding is too long"),
        (raw(4, 0, 0, b"12345"), "SETTINGS frame: Invalid SETTINGS body"),
        (raw(4, 1, 0, b"123456"), "SETTINGS frame: SETTINGS ack frame must not have payload: got 6 bytes"),
        (raw(3, 0, 1, b""), "RST_STREAM frame: RST_STREAM must have 4 byte body: actual length 0"),
        (raw(8, 0, 1, b"\0\0\0\0"), "WINDOW_UPDATE frame: WINDOW_UPDATE increment must be between 1 to 2^31-1"),
        (raw(7, 0, 0, b"short"), "GOAWAY frame: Invalid GOAWAY body"),
        (raw(2, 0, 1, b"short!"), "PRIORITY frame: PRIORITY must have 5 byte body: actual length 6"),
    ],
)
def test_a_bad_frame_is_a_problem_and_the_next_one_is_read(bad: bytes, what: str) -> None:
    problem, good = client(bad, hf.PingFrame(opaque_data=b"12345678"))
    assert isinstance(problem, Problem)
    assert problem.what == f"{what}, at byte 33 of what the client sent"
    assert problem.raw == bad
    assert good.kind == "PING"


@pytest.mark.parametrize("bad", [raw(1, 0x0C, 1, b"\x09\x83"), raw(1, 0x2C, 1, b"\x03\0\0\0\0\0"), raw(5, 4, 2, b"\0")])
def test_after_a_bad_frame_of_headers_none_can_be_read(bad: bytes) -> None:
    problem, later = client(bad, headers(3))
    assert isinstance(problem, Problem)
    assert isinstance(later, HeadersFrame)
    assert (later.headers, "of a broken frame at byte 33" in later.problem) == ((), True)


@pytest.mark.parametrize(
    ("sent", "what"),
    [
        (PREFACE[:5], "truncated: 5 of 24 bytes of the connection preface, at byte 0"),
        (b"GET /", "truncated: too short to tell what it is; an HTTP/1.1 request, at byte 0"),
        (PREFACE + raw(4, 0, 0)[:5], "truncated: 5 of 9 bytes of a frame header, at byte 24"),
        (OPENING + raw(0, 0, 1, b"x" * 100)[:50], "truncated: 50 of 109 bytes of a frame, at byte 33"),
    ],
)
def test_truncated_bytes_say_where(sent: bytes, what: str) -> None:
    found = read_frames(recorded(("client", sent)))
    assert whats(found) == [f"{what} of what the client sent"]


def test_a_problem_of_the_end_comes_before_the_end() -> None:
    found = read_frames(Recording((Chunk(1, "client", 0.0, OPENING + b"\0\0"), Chunk(1, "client", 1.0, end="reset"))))
    assert [frame.kind for frame in found] == ["PREFACE", "SETTINGS", "PROBLEM", "RESET"]


@pytest.mark.parametrize(
    ("between", "what"),
    [
        (hf.PingFrame(opaque_data=b"12345678"), "PING came before END_HEADERS (RFC 9113, 6.10)"),
        (hf.ContinuationFrame(3, b"\x83"), "CONTINUATION is of stream 3 (RFC 9113, 6.10)"),
    ],
)
def test_nothing_may_come_between_headers_and_their_continuation(between: hf.Frame, what: str) -> None:
    found = client(hf.HeadersFrame(1, b"\x83"), between, headers(5))
    first, last = (frame for frame in found if isinstance(frame, HeadersFrame))
    assert whats(found) == [f"HEADERS without its end: {what}, at byte 43 of what the client sent"]
    assert (first.problem, first.headers) == (what, ())
    assert "of a block without its end at byte 33" in last.problem


def test_headers_without_their_end_are_a_problem() -> None:
    found = client(hf.HeadersFrame(1, b"\x83"))
    assert whats(found)[0].startswith("HEADERS without its end: the recording ends before END_HEADERS")


def test_a_continuation_of_nothing_is_a_problem() -> None:
    found = client(hf.ContinuationFrame(1, b"\x83", flags=["END_HEADERS"]), headers(3))
    assert whats(found) == [
        "CONTINUATION without HEADERS before it (RFC 9113, 6.10), at byte 33 of what the client sent"
    ]
    assert "of a block without its beginning" in next(f.problem for f in found if isinstance(f, HeadersFrame))


@pytest.mark.parametrize(
    ("sender", "sent", "what"),
    [
        ("client", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not HTTP/2: an HTTP/1.1 request; nothing more is read"),
        ("server", b"HTTP/1.1 400 Bad Request\r\n", "not HTTP/2: an HTTP/1.1 response; nothing more is read"),
        ("client", b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP/2: it begins with b'SSH-2.0-OpenSSH_'; nothing more is read"),
        ("client", b"\xff" * 50, f"not HTTP/2: it begins with {bytes([255]) * 16!r}; nothing more is read"),
    ],
)
def test_what_is_not_http2_says_what_it_looks_like(sender: Sender, sent: bytes, what: str) -> None:
    found = read_frames(recorded((sender, sent), (sender, b"more of it")))
    assert whats(found) == [f"{what}, at byte 0 of what the {sender} sent"]
    assert len(found) == 1


@pytest.mark.parametrize(("sender", "missing"), [("client", "the connection preface"), ("server", "SETTINGS")])
def test_a_recording_from_the_middle_says_so_and_is_read(sender: Sender, missing: str) -> None:
    found = read_frames(recorded((sender, hf.DataFrame(5, b"abc").serialize() + hf.RstStreamFrame(5).serialize())))
    assert [frame.kind for frame in found] == ["PROBLEM", "DATA", "RST_STREAM"]
    assert whats(found)[0].startswith(f"{missing} is missing: the recording begins in the middle of a connection")


def test_of_tls_only_the_records_are_seen() -> None:
    hello = ssl.MemoryBIO()
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="teams.test").do_handshake()
    alert = bytes.fromhex("15 03 03 00 02 02 46")
    record = hello.read()
    first, second, rest = read_frames(recorded(("client", record + record[:7]), ("server", alert)))[:3]
    assert isinstance(first, Ciphertext)
    assert isinstance(second, Ciphertext)
    assert (first.record, first.length) == ("handshake", len(record) - 5)
    assert repr(second) == "CIPHERTEXT server → client, 2 bytes, TLS alert"
    assert whats([rest]) == [f"truncated: 7 bytes of a TLS record, at byte {len(record)} of what the client sent"]


def test_bytes_among_tls_records_that_are_none_end_the_reading() -> None:
    found = read_frames(recorded(("server", bytes.fromhex("15 03 03 00 02 02 46") + b"nonsense"), ("server", b"more")))
    assert [frame.kind for frame in found] == ["CIPHERTEXT", "PROBLEM"]
    assert whats(found) == ["not a TLS record; nothing more is read, at byte 7 of what the server sent"]


def test_a_claim_of_a_large_frame_takes_no_memory() -> None:
    found = client(b"\xff\xff\xff\0\0\0\0\0\x01abc")
    assert whats(found) == ["truncated: 12 of 16777224 bytes of a frame, at byte 33 of what the client sent"]


def test_an_empty_recording_has_no_frames() -> None:
    assert read_frames(Recording()) == ()
