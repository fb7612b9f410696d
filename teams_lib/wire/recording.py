"""What a tap has recorded: the bytes of each connection and direction, with their times. Nothing is decoded here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Sender = Literal["client", "server"]
End = Literal["", "closed", "reset"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes that arrived together, or the end of what one side sends."""

    connection: int
    """Connections are numbered from 1, in the order in which clients opened them."""

    sender: Sender
    """Who sent it."""

    at: float
    """When it arrived: seconds of `time.perf_counter`."""

    data: bytes = b""
    """The bytes as they came; the borders between chunks mean nothing. Empty if this is an end."""

    end: End = ""
    """How the sender ended its direction: "closed" (FIN: nothing more will come), or "reset" (RST: broken off)."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The chunks of one or more connections, in the order in which they arrived.

    Example:
        >>> recording = Recording((Chunk(1, "client", 0.0, b"PRI "), Chunk(1, "client", 0.1, b"* HTTP/2.0")))
        >>> recording.data(1, "client")
        b'PRI * HTTP/2.0'
    """

    chunks: tuple[Chunk, ...] = ()

    @property
    def connections(self) -> tuple[int, ...]:
        """The numbers of the connections, in order."""
        return tuple(sorted({chunk.connection for chunk in self.chunks}))

    def data(self, connection: int, sender: Sender) -> bytes:
        """All that one side of a connection has sent."""
        return b"".join(c.data for c in self.chunks if c.connection == connection and c.sender == sender)

    def __repr__(self) -> str:
        size = sum(len(chunk.data) for chunk in self.chunks)
        return f"Recording({len(self.connections)} connections, {size} bytes)"
