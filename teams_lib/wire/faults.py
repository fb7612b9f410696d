"""What can go wrong on the way, by name: faults that a tap puts between a client and its server.

``sender`` says whose bytes a fault meets: "client", "server", or None for both. Faults together add up: delays sum, the
lowest bandwidth holds, and of the faults with a size the one that is reached first acts. Sizes count the bytes of one
direction of one connection, from the connection's start or, for a fault that is injected later, from then on.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from teams_lib.wire.recording import Sender

NEVER: Final = sys.maxsize
"""More bytes than any connection carries."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Bytes, and their end, are forwarded so many seconds after they arrived: a long way to the other side.

    A tap holds 1 MiB of a direction at most, so a delayed direction carries 1 MiB in each delay at most.

    Raises:
        ValueError: less than 0 seconds, or without end (that is a `BlackHole`).
    """

    seconds: float
    sender: Sender | None = None

    def __post_init__(self) -> None:
        _check(self, "seconds", self.seconds, self.seconds >= 0 and math.isfinite(self.seconds), "0 or more, finite")


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """A direction carries no more bytes a second than this: a byte arrives when all before it and itself are through.

    Raises:
        ValueError: not above 0 (that is a `BlackHole`).
    """

    bytes_per_second: float
    sender: Sender | None = None

    def __post_init__(self) -> None:
        _check(self, "bytes_per_second", self.bytes_per_second, self.bytes_per_second > 0, "above 0")


@dataclass(frozen=True, slots=True)
class CutAfter:
    """After exactly so many bytes of a direction, both sides are told that the other is done (FIN), in good order.

    What they send afterwards is read, thrown away, and not recorded. A size of 0 cuts a connection once it is open.

    Raises:
        ValueError: a size below 0.
    """

    size: int
    sender: Sender | None = None

    def __post_init__(self) -> None:
        _check(self, "size", self.size, self.size >= 0, "0 or more")


@dataclass(frozen=True, slots=True)
class ResetAfter:
    """After exactly so many bytes of a direction, the connection breaks off for both sides (RST: ECONNRESET).

    A reset overtakes bytes that the receiver has not taken yet, here as anywhere: the last ones may be lost to it.

    Raises:
        ValueError: a size below 0.
    """

    size: int
    sender: Sender | None = None

    def __post_init__(self) -> None:
        _check(self, "size", self.size, self.size >= 0, "0 or more")


@dataclass(frozen=True, slots=True)
class BlackHole:
    """After so many bytes of a direction nothing arrives, not even the end; the connection stays open: a pulled cable.

    New connections are accepted, and as silent. The tap records what is sent into the hole, until it holds 1 MiB of the
    direction; then it reads no more. When the fault is over, what it holds arrives, late, as TCP would send it again.

    Raises:
        ValueError: a size below 0.
    """

    after: int = 0
    sender: Sender | None = None

    def __post_init__(self) -> None:
        _check(self, "after", self.after, self.after >= 0, "0 or more")


Fault = Delay | Bandwidth | CutAfter | ResetAfter | BlackHole


def _check(fault: Fault, name: str, value: float, good: bool, wanted: str) -> None:
    if not good:
        raise ValueError(f"{type(fault).__name__}: {name} is {value}, and must be {wanted}")
    if fault.sender not in ("client", "server", None):
        raise ValueError(f'{type(fault).__name__}: sender is {fault.sender!r}, and must be "client", "server" or None')


@dataclass(frozen=True, slots=True)
class Line:
    """What the faults make of one direction."""

    delay: float = 0.0
    """Seconds."""

    rate: float = math.inf
    """Bytes a second."""

    breaks_at: int = NEVER
    """After how many bytes the connection is cut or reset."""

    resets: bool = False
    """Whether it is reset then."""

    vanishes_at: int = NEVER
    """After how many bytes nothing is forwarded."""

    @property
    def piece(self) -> int:
        """How many bytes to forward at once: what the line carries in 10 ms."""
        return max(1, int(min(self.rate * 0.01, NEVER)))

    @classmethod
    def under(cls, faults: Sequence[Fault], sender: Sender) -> Line:
        """The line of what ``sender`` sends."""
        mine = [fault for fault in faults if fault.sender in (sender, None)]
        cut = min((fault.size for fault in mine if isinstance(fault, CutAfter)), default=NEVER)
        reset = min((fault.size for fault in mine if isinstance(fault, ResetAfter)), default=NEVER)
        return cls(
            delay=sum(fault.seconds for fault in mine if isinstance(fault, Delay)),
            rate=min((fault.bytes_per_second for fault in mine if isinstance(fault, Bandwidth)), default=math.inf),
            breaks_at=min(cut, reset),
            resets=reset < cut,
            vanishes_at=min((fault.after for fault in mine if isinstance(fault, BlackHole)), default=NEVER),
        )
