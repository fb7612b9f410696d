"""A tap with a plain socket at each end, so that a test decides what happens on the wire, and when."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from teams_lib.wire import WireTap
from teams_lib.wire.faults import Fault


@dataclass
class Wire:
    tap: WireTap
    listener: socket.socket

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """A new connection: the client's socket and the server's."""
        host, port = self.tap.address.split(":")
        client = socket.create_connection((host, int(port)), timeout=10)
        server, _ = self.listener.accept()
        server.settimeout(10)
        return client, server


@contextmanager
def wire(*faults: Fault, limit: int = 2**28) -> Iterator[Wire]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        with WireTap("{}:{}".format(*listener.getsockname()), *faults, limit=limit) as tap:
            yield Wire(tap, listener)


def receive(sock: socket.socket, size: int = 2**40) -> bytes:
    """So many bytes; fewer if they end before."""
    data = bytearray()
    while len(data) < size and (more := sock.recv(min(2**16, size - len(data)))):
        data += more
    return bytes(data)


def fill(sock: socket.socket, seconds: float = 0.2) -> int:
    """Send until nobody takes more for so long: how many bytes were taken."""
    sock.settimeout(seconds)
    sent = 0
    with suppress(TimeoutError):
        while sent < 2**28:
            sent += sock.send(bytes(2**16))
    return sent
