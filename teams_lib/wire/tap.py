"""WireTap: a wire in front of a server that writes down what passes, and breaks if asked to."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol

from teams_lib.wire.faults import Fault, Line
from teams_lib.wire.recording import Chunk, End, Recording, Sender

if TYPE_CHECKING:
    from teams_lib.wire.calls import Conversation

LIMIT: Final = 256 * 2**20
"""How much a tap records if not told otherwise, in bytes."""

HELD: Final = 2**20
"""From how many bytes on that wait to be forwarded the tap stops reading their sender."""

READ: Final = 2**16
"""How many bytes are read at once."""

CHUNK_COST: Final = 128
"""What a recorded chunk takes besides its bytes: many tiny ones count too."""

CONNECT_TIMEOUT: Final = 2.0
"""Seconds that a server has to take a connection: on the same machine, the kernel takes it at once."""

RESET: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""SO_LINGER of a socket whose close is a reset."""


class HasAddress(Protocol):
    """A server that says where it listens, such as a BackgroundServer."""

    @property
    def address(self) -> str:
        """``"host:port"``."""


class WireTap:
    """Listens on a port of its own, and forwards each connection to a server, byte for byte; records what passes.

    It listens from when it is made until `close`, best in a ``with`` block. Bytes are recorded before they are
    forwarded: whatever a client or server has received is in the recording. Nothing is decoded meanwhile.

    Args:
        server: a `BackgroundServer`, anything with an ``address``, or the address: ``"host:port"``, ``"[::1]:port"``.
        faults: what goes wrong from the start; see `inject`.
        limit: how many bytes to record, of all connections; what comes then is forwarded all the same: see `full`.

    Raises:
        NotRunningError: the `BackgroundServer` is not running.
        ValueError: the address is not of this form, or its host is not known.

    Example:
        >>> from teams_lib import BackgroundServer, TeamsServicer, teams_pb2, teams_pb2_grpc
        >>> import grpc
        >>> with BackgroundServer(TeamsServicer()) as server, WireTap(server) as tap:
        ...     with grpc.insecure_channel(tap.address) as channel:
        ...         stub = teams_pb2_grpc.TeamsStub(channel)
        ...         _ = stub.GetTeam(teams_pb2.TeamRequest(city="Boston"), timeout=5)
        >>> tap.recording.data(1, "client")[:14]
        b'PRI * HTTP/2.0'
    """

    def __init__(self, server: HasAddress | str, *faults: Fault, limit: int = LIMIT) -> None:
        self._relay = _Relay(_resolve(server if isinstance(server, str) else server.address), faults, limit)
        # A tap that a re-run cell replaces goes away with its thread. At exit the thread, a daemon, needs no farewell.
        weakref.finalize(self, self._relay.stop).atexit = False

    @property
    def address(self) -> str:
        """Where to connect: ``"127.0.0.1:<port>"``.

        Raises:
            RuntimeError: the tap is closed.
        """
        self._relay.check_open()
        return f"127.0.0.1:{self._relay.port}"

    @property
    def recording(self) -> Recording:
        """What is recorded up to now."""
        return self._relay.snapshot()

    @property
    def full(self) -> bool:
        """Whether the limit is reached: what came after that is missing from the recording."""
        return self._relay.full

    def decode(self) -> Conversation:
        """The frames and calls of what is recorded up to now."""
        from teams_lib.wire.calls import decode

        return decode(self.recording)

    def wait_for(self, condition: Callable[[Conversation], object], timeout: float = 5.0) -> Conversation:
        """Wait for something to happen on the wire, such as what comes after a client has its answer.

        Args:
            condition: whether a conversation is complete enough, such as ``lambda talk: talk.calls[0].status``. It is
                asked again whenever bytes arrive. A LookupError, while there is no first call yet, counts as no.
            timeout: seconds to wait at most.

        Returns:
            The conversation for which the condition holds; one that was decoded before stays as it was.

        Raises:
            TimeoutError: the condition does not hold in time, or the tap is closed, so that nothing more will come.
        """
        deadline = time.perf_counter() + timeout
        while True:
            # In this order: if the tap was open before the snapshot, more may come after it.
            more = not self._relay.closed
            recording = self.recording
            from teams_lib.wire.calls import decode

            conversation = decode(recording)
            with suppress(LookupError):
                if condition(conversation):
                    return conversation
            left = deadline - time.perf_counter()
            if not more or left <= 0:
                reason = f"not so after {timeout} s" if more else "not so, and nothing more comes: the tap is closed"
                what = "\n".join(f"  {call!r}" for call in conversation.calls) or "  no calls"
                raise TimeoutError(f"What wait_for waits for is {reason}. {recording!r}, with\n{what}")
            self._relay.wait(len(recording.chunks), left)

    def inject(self, *faults: Fault) -> None:
        """Put faults on the wire from now on, in place of those before; open connections are met too.

        Raises:
            RuntimeError: the tap is closed.
        """
        self._relay.inject(faults)

    def heal(self) -> None:
        """Take all faults away: what they still hold back goes out at once. A connection that broke stays broken.

        Raises:
            RuntimeError: the tap is closed.
        """
        self._relay.inject(())

    def close(self) -> None:
        """Stop listening and close all connections; the calls that run end UNAVAILABLE. The recording remains."""
        self._relay.close()

    def __enter__(self) -> WireTap:
        self._relay.check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._relay.closed else "open"
        return f"<WireTap: {state}, {self.recording!r}{', full' if self.full else ''}>"


def _resolve(address: str) -> list[tuple[str, int]]:
    host, _, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not host or (":" in host and not bracketed) or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(
            f'{address!r} is not an address to tap. Give a running BackgroundServer, "host:port" or "[::1]:port".'
        )
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        raise ValueError(f"The host of {address!r} is not known here. For this machine, write 127.0.0.1.") from error
    return [(str(where[0]), int(where[1])) for *_, where in found]


class _Side:
    """One of the two sockets of a connection, and what is on its way to it."""

    __slots__ = (
        "broken", "ended", "full", "held", "line_free", "number", "over", "passed", "peer", "sender", "shut", "socket",
        "waiting", "watched",
    )  # fmt: skip

    def __init__(self, number: int, sender: Sender, sock: socket.socket) -> None:
        sock.setblocking(False)
        with suppress(OSError):  # broken already, as some systems say here
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number, self.sender, self.socket = number, sender, sock
        self.peer = self  # until the other side is there
        self.waiting: deque[tuple[float, bytes | memoryview, End]] = deque()  # for this side: arrival, bytes, end
        self.held = 0  # how many bytes that is
        self.passed = 0  # how many bytes it has been sent under the present faults
        self.line_free = 0.0  # when the last of them was through the bandwidth
        self.full = False  # the socket takes no bytes now
        self.shut = False  # nothing more will be sent to it
        self.broken = False  # because it cannot be
        self.ended = False  # nothing more comes from it
        self.over = False  # its end is recorded
        self.watched = 0  # what the selector waits for


class _Relay:
    """What a tap does, in one thread of its own: accept, read, record, forward."""

    def __init__(self, targets: list[tuple[str, int]], faults: Sequence[Fault], limit: int) -> None:
        self._targets, self._room = targets, limit
        # The fields of Chunks, which take time to make. Only the relay's thread appends.
        self._chunks: list[tuple[int, Sender, float, bytes, End]] = []
        self._news = threading.Condition()  # also guards what other threads ask for
        self._waiters = 0
        self._requests: deque[tuple[Sequence[Fault], threading.Event]] = deque()
        self.closed = self._stopping = False
        self._number = 0
        self._sides: set[_Side] = set()
        self._due: dict[_Side, float] = {}  # when the next bytes for a side may go, if they have to wait
        self._set_faults(faults)
        self._selector = DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._bell, self._button = socket.socketpair()  # a byte sent to the button wakes the thread
        for sock, act in ((self._listener, self._accept), (self._bell, self._answer)):
            sock.setblocking(False)
            self._selector.register(sock, EVENT_READ, act)
        self._thread = threading.Thread(target=self._run, name=f"WireTap {self.port}", daemon=True)
        self._thread.start()

    # For other threads.

    def check_open(self) -> None:
        if self._stopping:
            raise RuntimeError("This tap is closed. Make a new one: WireTap(server). Its recording is still there.")

    @property
    def full(self) -> bool:
        return self._room < 0

    def snapshot(self) -> Recording:
        return Recording(tuple(Chunk(*fields) for fields in self._chunks.copy()))

    def wait(self, known: int, timeout: float) -> None:
        """Until there are more chunks than those known, or the tap is closed, or the time is up."""
        with self._news:
            self._waiters += 1
            try:
                self._news.wait_for(lambda: self.closed or len(self._chunks) > known, timeout)
            finally:
                self._waiters -= 1

    def inject(self, faults: Sequence[Fault]) -> None:
        done = threading.Event()
        with self._news:
            self.check_open()
            self._requests.append((faults, done))
            self._button.send(b"\0")
        done.wait()  # so that what the caller does next meets the faults

    def stop(self) -> None:
        with self._news:
            if not self._stopping:
                self._stopping = True
                self._button.send(b"\0")

    def close(self) -> None:
        self.stop()
        self._thread.join()

    # For the thread.

    def _run(self) -> None:
        try:
            while not self._stopping:
                wait = max(0.0, min(self._due.values()) - time.perf_counter()) if self._due else None
                for key, events in self._selector.select(wait):
                    key.data(events)
                if self._due:
                    now = time.perf_counter()
                    for side in [side for side, due in self._due.items() if due <= now]:
                        self._flush(side)
        finally:
            for side in sorted(self._sides, key=lambda side: (side.number, side.sender)):
                self._finish(side, "closed")
            with self._news:
                self._stopping = self.closed = True
                for _, done in self._requests:
                    done.set()
                self._news.notify_all()
                for sock in (self._listener, self._bell, self._button, *(side.socket for side in self._sides)):
                    sock.close()
            self._selector.close()

    def _answer(self, events: int) -> None:
        self._bell.recv(READ)
        while self._requests:
            faults, done = self._requests.popleft()
            self._set_faults(faults)
            done.set()

    def _set_faults(self, faults: Sequence[Fault]) -> None:
        self._faultless = not faults
        self._lines: dict[Sender, Line] = {
            "client": Line.under(faults, "client"),
            "server": Line.under(faults, "server"),
        }
        for side in list(self._sides):
            side.passed, side.line_free = 0, time.perf_counter()
            self._flush(side)

    def _accept(self, events: int) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:  # gone again before it was accepted
            return
        self._number += 1
        server_sock = self._dial()
        if server_sock is None:
            self._record(self._number, "server", end="reset")
            _reset(sock)
            return
        client, server = _Side(self._number, "client", sock), _Side(self._number, "server", server_sock)
        client.peer, server.peer = server, client
        self._sides |= {client, server}
        self._flush(client)
        self._flush(server)

    def _dial(self) -> socket.socket | None:
        for target in self._targets:
            with suppress(OSError):
                return socket.create_connection(target, timeout=CONNECT_TIMEOUT)
        return None

    def _ready(self, side: _Side, events: int) -> None:
        if events & EVENT_WRITE and side in self._sides:
            side.full = False
            self._flush(side)
        if events & EVENT_READ and side in self._sides:  # not dropped meanwhile
            self._receive(side)

    def _receive(self, side: _Side) -> None:
        try:
            data = side.socket.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            self._end(side, "reset")
            return
        peer = side.peer
        if not data:
            self._end(side, "reset" if side.broken else "closed")
        elif peer.shut:
            return  # nobody is there to have it
        elif self._faultless and not peer.waiting:
            self._forward(peer, data)
        else:
            # What comes after the cut never was: it is not recorded.
            data = data[: max(0, self._lines[side.sender].breaks_at - peer.passed - peer.held)]
            if data:
                peer.waiting.append((self._record(side.number, side.sender, data), data, ""))
                peer.held += len(data)
                self._flush(peer)

    def _forward(self, side: _Side, data: bytes) -> None:
        """The same as `_flush`, but quicker, where nothing is in the way: what streams do thousands of times."""
        at = self._record(side.number, side.peer.sender, data)
        try:
            sent = side.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose(side)
            return
        if sent < len(data):
            side.waiting.append((at, memoryview(data)[sent:], ""))
            side.held = len(data) - sent
            side.full = True
            self._settle(side)

    def _end(self, side: _Side, end: End) -> None:
        """Nothing more comes from a side: pass that on, behind what it sent before."""
        side.ended = True
        side.peer.waiting.append((self._finish(side, end), b"", end))
        self._flush(side.peer)

    def _finish(self, side: _Side, end: End) -> float:
        """Record how a side ended. It does so once: a reset may follow a close, but tells nothing new."""
        if side.over:
            return time.perf_counter()
        side.over = True
        return self._record(side.number, side.sender, end=end)

    def _record(self, number: int, sender: Sender, data: bytes = b"", end: End = "") -> float:
        at = time.perf_counter()
        self._room -= len(data) + CHUNK_COST
        if end or self._room >= 0:
            self._chunks.append((number, sender, at, data, end))
            if self._waiters:
                with self._news:
                    self._news.notify_all()
        return at

    def _flush(self, side: _Side) -> None:
        """Send what may be sent to a side now; the rest waits for its time, or for the socket."""
        if side not in self._sides:  # dropped meanwhile
            return
        line = self._lines[side.peer.sender]
        self._due.pop(side, None)
        while not side.full and not side.shut:
            if side.passed >= line.breaks_at:
                self._break(side, line.resets)
                return
            if not side.waiting or side.passed >= line.vanishes_at:
                break
            at, data, end = side.waiting[0]
            size = min(len(data), line.piece, line.breaks_at - side.passed, line.vanishes_at - side.passed)
            through = max(at, side.line_free) + size / line.rate
            if through + line.delay > time.perf_counter():
                self._due[side] = through + line.delay
                break
            if end == "reset" or (end and side.peer.broken):
                self._drop(side, reset=True)
                return
            if end:
                self._shut(side)
                break
            try:
                sent = side.socket.send(data[:size])
            except BlockingIOError:
                side.full = True
                break
            except OSError:
                self._lose(side)
                return
            side.line_free = through
            side.passed += sent
            side.held -= sent
            side.waiting.popleft()
            if sent < len(data):
                side.waiting.appendleft((at, memoryview(data)[sent:], ""))
        self._settle(side)

    def _settle(self, side: _Side) -> None:
        """A connection that is over both ways is dropped; otherwise the selector waits for what may happen next."""
        peer = side.peer
        if side.ended and peer.ended and side.shut and peer.shut:
            self._drop(side)
            return
        self._watch(side)
        self._watch(peer)

    def _watch(self, side: _Side) -> None:
        wanted = EVENT_READ if not side.ended and side.peer.held < HELD else 0
        if side.full:
            wanted |= EVENT_WRITE
        if wanted == side.watched:
            return
        if side.watched:
            self._selector.unregister(side.socket)
        if wanted:
            self._selector.register(side.socket, wanted, partial(self._ready, side))
        side.watched = wanted

    def _shut(self, side: _Side) -> None:
        """Tell a side that nothing more comes."""
        side.shut, side.full, side.held = True, False, 0
        side.waiting.clear()
        self._due.pop(side, None)
        with suppress(OSError):
            side.socket.shutdown(socket.SHUT_WR)

    def _lose(self, side: _Side) -> None:
        """A side that was reset takes nothing more. What it sent before is still passed on; then comes the reset."""
        side.broken = True
        self._shut(side)
        if side.ended and side.peer.shut:
            self._drop(side, reset=True)
        else:
            self._settle(side)

    def _break(self, side: _Side, reset: bool) -> None:
        """A fault ends a connection, both ways."""
        for each in (side, side.peer):
            self._finish(each, "reset" if reset else "closed")
            if not reset:
                self._shut(each)
        if reset:
            self._drop(side, reset=True)
        else:
            self._settle(side)

    def _drop(self, side: _Side, reset: bool = False) -> None:
        for each in (side, side.peer):
            if each.watched:
                self._selector.unregister(each.socket)
                each.watched = 0
            self._sides.discard(each)
            self._due.pop(each, None)
            if reset:
                _reset(each.socket)
            else:
                each.socket.close()


def _reset(sock: socket.socket) -> None:
    """Close a socket by a reset instead of an orderly end."""
    with suppress(OSError):  # broken already, as some systems say here
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()
