"""From the bytes of a recording to the frames of HTTP/2, and from compressed blocks to headers."""

from __future__ import annotations

import base64
import binascii
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Final

from teams_lib.wire import recording as rec
from teams_lib.wire.frames import (
    FRAME_HEADER,
    PREFACE,
    TLS_RECORDS,
    TYPES,
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
    as_text,
    counted,
    error_name,
    setting_name,
    type_name,
)

import hpack
import hyperframe.exceptions
import hyperframe.frame

MAX_HEADER_LIST: Final = 1 << 18
"""So large may the headers of one block be: the sum of their names and values, and 32 bytes each (RFC 9113, 6.5.2)."""

MAX_TABLE: Final = 1 << 20
"""So large may a table of headers be (RFC 7541, 4.1 says how it is measured). A peer may allow 4 GiB; none needs it."""


def read_frames(recording: rec.Recording) -> tuple[Frame, ...]:
    """Read the frames of a recording. Never raises, whatever the bytes are.

    Args:
        recording: From a tap, or made by hand.

    Returns:
        The frames of all connections and directions, in the order in which their last byte arrived.

    Source: RFC 9113; RFC 7541 for the headers
    """
    found: list[Frame] = []
    directions: dict[tuple[int, rec.Sender], _Direction] = {}
    at = 0.0
    for chunk in recording.chunks:
        at = chunk.at
        if (direction := directions.get((chunk.connection, chunk.sender))) is None:
            client, server = (_Direction(chunk.connection, sender, found) for sender in ("client", "server"))
            client.peer, server.peer = server, client
            directions[chunk.connection, "client"], directions[chunk.connection, "server"] = client, server
            direction = directions[chunk.connection, chunk.sender]
        direction.feed(chunk)
    for direction in directions.values():
        direction.finish(at)
    return tuple(found)


class _Direction:
    """Reads what one side of a connection sends."""

    peer: _Direction

    def __init__(self, connection: int, sender: rec.Sender, found: list[Frame]) -> None:
        self._connection = connection
        self._sender: rec.Sender = sender
        self._found = found
        self._buffer = bytearray()
        self._offset = 0  # of the first byte in the buffer
        self._at = 0.0
        self._read = self._read_opening
        self._headers = _Headers()
        self._open_block: tuple[int, list[bytes]] | None = None  # where its frame is in `found`; its fragments
        self._announced: deque[int] = deque()  # table sizes that the peer has not acknowledged yet

    def feed(self, chunk: rec.Chunk) -> None:
        """Take in a chunk, and find the frames that it completes."""
        self._at = chunk.at
        self._buffer += chunk.data
        used = 0
        while (size := self._read(used)) > 0:
            used += size
        del self._buffer[:used]
        if chunk.end:
            self.finish(chunk.at)
            self._found.append(End(self._connection, self._sender, self._at, self._offset, 0, (), b"", chunk.end))

    def finish(self, at: float) -> None:
        """Say what is missing at the end."""
        self._at = at
        rest = bytes(self._buffer)
        if rest:
            self._buffer.clear()
            self._problem(rest, f"truncated: {self._missing(rest)}")
            self._offset += len(rest)
        if self._open_block is not None:
            self._break_block("the recording ends before END_HEADERS")

    def _missing(self, rest: bytes) -> str:
        if self._read == self._read_opening and self._sender == "client":
            if PREFACE.startswith(rest):
                return f"{len(rest)} of {len(PREFACE)} bytes of the connection preface"
            return f"too short to tell what it is; {_looks_like(rest)}"
        if self._read == self._read_record:
            return f"{counted(len(rest), 'byte')} of a TLS record"
        if len(rest) < FRAME_HEADER:
            return f"{len(rest)} of {FRAME_HEADER} bytes of a frame header"
        return f"{len(rest)} of {FRAME_HEADER + int.from_bytes(rest[:3])} bytes of a frame"

    # The readers: each takes what begins at `at` in the buffer, and returns its size; 0 means that more must come.

    def _read_opening(self, at: int) -> int:
        head = bytes(self._buffer[at : at + 64])
        if self._sender == "client" and PREFACE.startswith(head[:24]):
            if len(head) < len(PREFACE):
                return 0
            self._found.append(Preface(*self._place(), 0, (), PREFACE))
            self._offset += len(PREFACE)
            self._read = self._read_frame
            return len(PREFACE)
        if len(head) >= 3 and head[0] in (21, 22) and head[1] == 3:  # a TLS alert or handshake
            self._read = self._read_record
        elif len(head) < FRAME_HEADER:
            return 0
        elif not _plausible(head):
            self._read = self._read_nothing
            self._problem(bytes(self._buffer[at:]), f"not HTTP/2: {_looks_like(head)}; nothing more is read")
        else:
            self._read = self._read_frame
            if self._sender == "client" or head[3] != TYPES.index("SETTINGS"):
                first = "the connection preface" if self._sender == "client" else "SETTINGS"
                self._problem(b"", f"{first} is missing: the recording begins in the middle of a connection")
        return self._read(at)

    def _read_nothing(self, at: int) -> int:
        size = len(self._buffer) - at
        self._offset += size
        return size

    def _read_record(self, at: int) -> int:
        head = self._buffer[at : at + 5]
        if len(head) < 5:
            return 0
        size = 5 + int.from_bytes(head[3:])
        if head[0] not in TLS_RECORDS or head[1] != 3:
            self._read = self._read_nothing
            self._problem(bytes(self._buffer[at:]), "not a TLS record; nothing more is read")
            return self._read(at)
        if len(self._buffer) - at < size:
            return 0
        raw = bytes(self._buffer[at : at + size])
        self._found.append(Ciphertext(*self._place(), 0, (), raw, TLS_RECORDS[raw[0]]))
        self._offset += size
        return size

    def _read_frame(self, at: int) -> int:
        available = len(self._buffer) - at
        if available < FRAME_HEADER:
            return 0
        size = FRAME_HEADER + int.from_bytes(self._buffer[at : at + 3])
        if available < size:
            return 0
        raw = bytes(memoryview(self._buffer)[at : at + size])
        if self._open_block is not None and raw[3] != 9:
            self._break_block(f"{type_name(raw[3])} came before END_HEADERS (RFC 9113, 6.10)")
        try:
            self._parse(raw)
        except hyperframe.exceptions.HyperframeError as error:
            self._problem(raw, f"{type_name(raw[3])} frame: {str(error).rstrip('.')}", _stream(raw))
            if raw[3] in (1, 5):
                self._headers.lose(f"of a broken frame at byte {self._offset}")
        self._offset += size
        return size

    def _parse(self, raw: bytes) -> None:
        if raw[3] >= len(TYPES):
            self._found.append(UnknownFrame(*self._place(), _stream(raw), (), raw, raw[3]))
            return
        view = memoryview(raw)
        parsed, _ = hyperframe.frame.Frame.parse_frame_header(view[:FRAME_HEADER])
        parsed.parse_body(view[FRAME_HEADER:])
        common = (
            self._connection,
            self._sender,
            self._at,
            self._offset,
            parsed.stream_id,
            _flags(raw[3], raw[4]),
            raw,
        )
        match parsed:
            case hyperframe.frame.DataFrame():
                self._found.append(DataFrame(*common, parsed.data))
            case hyperframe.frame.HeadersFrame():
                _check_padding(parsed, 5 if "PRIORITY" in parsed.flags else 0, len(view) - FRAME_HEADER)
                self._begin_block(HeadersFrame(*common, parsed.data))
            case hyperframe.frame.WindowUpdateFrame():
                self._found.append(WindowUpdateFrame(*common, parsed.window_increment))
            case hyperframe.frame.PingFrame():
                self._found.append(PingFrame(*common, parsed.opaque_data))
            case hyperframe.frame.SettingsFrame():
                settings = {setting_name(number): value for number, value in parsed.settings.items()}
                self._found.append(SettingsFrame(*common, settings))
                self._agree(parsed)
            case hyperframe.frame.RstStreamFrame():
                self._found.append(RstStreamFrame(*common, error_name(parsed.error_code)))
            case hyperframe.frame.GoAwayFrame():
                last_stream = parsed.last_stream_id & 0x7FFFFFFF
                self._found.append(
                    GoAwayFrame(*common, last_stream, error_name(parsed.error_code), parsed.additional_data)
                )
            case hyperframe.frame.ContinuationFrame():
                self._found.append(ContinuationFrame(*common))
                self._continue_block(self._found[-1], parsed.data)
            case hyperframe.frame.PriorityFrame():
                weight = parsed.stream_weight + 1  # sent as 0 to 255
                self._found.append(PriorityFrame(*common, parsed.depends_on, weight, parsed.exclusive))
            case hyperframe.frame.PushPromiseFrame():
                _check_padding(parsed, 4, len(view) - FRAME_HEADER)
                promised = parsed.promised_stream_id & 0x7FFFFFFF
                self._begin_block(PushPromiseFrame(*common, promised, parsed.data))

    def _agree(self, settings: hyperframe.frame.SettingsFrame) -> None:
        """Keep to the size of the header table that the reader of these headers has announced.

        It counts once the sender of the headers has acknowledged it (RFC 9113, 6.5.3).
        """
        if "ACK" not in settings.flags:
            size = settings.settings.get(hyperframe.frame.SettingsFrame.HEADER_TABLE_SIZE, -1)
            self.peer._announced.append(size)
        elif self._announced and (size := self._announced.popleft()) >= 0:
            self._headers.limit_table(size)

    def _begin_block(self, frame: HeadersFrame | PushPromiseFrame) -> None:
        self._found.append(frame)
        self._open_block = len(self._found) - 1, [frame.block]
        if "END_HEADERS" in frame.flags:
            self._end_block()

    def _continue_block(self, frame: Frame, fragment: bytes) -> None:
        if self._open_block is None:
            self._headers.lose(f"of a block without its beginning at byte {self._offset}")
            self._problem(b"", "CONTINUATION without HEADERS before it (RFC 9113, 6.10)", frame.stream)
            return
        first = self._found[self._open_block[0]]
        if frame.stream != first.stream:
            self._break_block(f"CONTINUATION is of stream {frame.stream} (RFC 9113, 6.10)")
            return
        self._open_block[1].append(fragment)
        if "END_HEADERS" in frame.flags:
            self._end_block()

    def _end_block(self) -> None:
        """Put the headers into the frame that began the block."""
        assert self._open_block is not None
        (index, fragments), self._open_block = self._open_block, None
        frame = self._found[index]
        assert isinstance(frame, HeadersFrame | PushPromiseFrame)
        block = b"".join(fragments)
        known_before = not self._headers.lost
        headers = self._headers.decode(block, frame.offset)
        self._found[index] = replace(frame, block=block, headers=headers, problem=self._headers.lost)
        if self._headers.lost and known_before:
            self._found.append(Problem(*self._place(), frame.stream, (), b"", self._headers.lost))

    def _break_block(self, why: str) -> None:
        assert self._open_block is not None
        (index, fragments), self._open_block = self._open_block, None
        frame = self._found[index]
        assert isinstance(frame, HeadersFrame | PushPromiseFrame)
        self._headers.lose(f"of a block without its end at byte {frame.offset}")
        self._found[index] = replace(frame, block=b"".join(fragments), problem=why)
        self._problem(b"", f"{frame.kind} without its end: {why}", frame.stream)

    def _place(self) -> tuple[int, rec.Sender, float, int]:
        return self._connection, self._sender, self._at, self._offset

    def _problem(self, raw: bytes, what: str, stream: int = 0) -> None:
        where = f"at byte {self._offset} of what the {self._sender} sent"
        self._found.append(Problem(*self._place(), stream, (), raw, f"{what}, {where}"))


class _Headers:
    """The header blocks of one direction. Each builds on those before it: after an error, none can be read any more.

    Source: RFC 7541, 2.2 and 4.2; RFC 9113, 4.3
    """

    def __init__(self) -> None:
        self.lost = ""
        """Why headers can no longer be read."""
        self._decoder = hpack.Decoder(max_header_list_size=MAX_HEADER_LIST)
        # Blocks repeat the same entries of the table: kept once, a small block that claims many takes little memory.
        self._texts: dict[bytes, str] = {}
        self._known: dict[tuple[bytes, bytes], tuple[Header, ...]] = {}

    def decode(self, block: bytes, offset: int) -> tuple[Header, ...]:
        """The headers of a block; none if the state is lost."""
        if self.lost:
            return ()
        if len(block) > MAX_HEADER_LIST:
            self.lose(f"at byte {offset} (a block of more than {MAX_HEADER_LIST} bytes)")
            return ()
        try:
            pairs = self._decoder.decode(block, raw=True)
        except hpack.HPACKError as error:
            self.lose(f"at byte {offset} ({type(error).__name__})")
            return ()
        known = self._known
        headers: list[Header] = []
        for pair in pairs:
            headers += known.get(pair) or self._learn(*pair)
        return tuple(headers)

    def lose(self, where: str) -> None:
        """Give up, because of an error there."""
        self.lost = self.lost or f"headers can not be read: HPACK lost its state {where}"

    def limit_table(self, size: int) -> None:
        """Allow the sender's dynamic table a size, in bytes."""
        self._decoder.max_allowed_table_size = min(size, MAX_TABLE)

    def _learn(self, name: bytes, value: bytes) -> tuple[Header, ...]:
        text = self._texts.setdefault(name, as_text(name))
        headers = tuple(Header(text, v) for v in _values(name, value))
        self._known[name, value] = headers
        return headers


def _values(name: bytes, value: bytes) -> Iterator[str | bytes]:
    if not name.endswith(b"-bin"):
        yield as_text(value)
    elif value.startswith(b"\0"):
        yield value[1:]
    else:
        for single in value.split(b","):
            unpadded = single.rstrip(b"=")
            try:
                yield base64.b64decode(unpadded + b"=" * (-len(unpadded) % 4), validate=True)
            except binascii.Error:
                yield single


def _check_padding(parsed: hyperframe.frame.Padding, fixed: int, length: int) -> None:
    """Refuse padding that would cover the fields before the block (RFC 9113, 6.2 and 6.6)."""
    if parsed.pad_length and 1 + fixed + parsed.pad_length > length:
        raise hyperframe.exceptions.InvalidPaddingError("Padding is too long.")


def _plausible(head: bytes) -> bool:
    """Whether this may be the beginning of a frame: of a defined type, with its flags, and a stream if it has one."""
    if head[3] >= len(TYPES) or head[5] & 0x80 or int.from_bytes(head[:3]) > 1 << 22:
        return False
    known = hyperframe.frame.FRAMES[head[3]]
    if head[4] & ~sum(flag.bit for flag in known.defined_flags):
        return False
    needed = {"has-stream": (True,), "no-stream": (False,)}.get(known.stream_association or "", (True, False))
    return (_stream(head) != 0) in needed


def _looks_like(head: bytes) -> str:
    if re.match(rb"(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH) ", head):
        return "an HTTP/1.1 request"
    if head.startswith(b"HTTP/1."):
        return "an HTTP/1.1 response"
    return f"it begins with {head[:16]!r}"


@cache
def _flags(type_: int, byte: int) -> tuple[str, ...]:
    return tuple(flag.name for flag in hyperframe.frame.FRAMES[type_].defined_flags if byte & flag.bit)


def _stream(raw: bytes) -> int:
    return int.from_bytes(raw[5:9]) & 0x7FFFFFFF  # the highest bit is reserved
