"""Servers and channels for checks: they end when the check ends, however it ends."""

import itertools
from collections.abc import Sequence
from typing import Any
from unittest import mock

from teams_lib import teams_pb2_grpc
from teams_lib.exercises._authoring import NotYet
from teams_lib.exercises._runner import clean_up
from teams_lib.server import BackgroundServer

import grpc

_numbers = itertools.count(1)


def serve(servicer: object, **options: Any) -> BackgroundServer:
    """Serve a servicer until the check ends.

    Args:
        servicer: the learner's, or one that watches what the learner does.
        options: more arguments for `BackgroundServer`.

    Returns:
        The running server. It replaces no other one, least of all the learner's.

    Example:
        server = serve(TeamsServicer())
    """
    server = BackgroundServer(servicer, name=f"check's server {next(_numbers)}", **options).start()
    clean_up(server.stop)
    return server


def connect(target: str, *interceptors: Any, options: Sequence[tuple[str, Any]] = ()) -> grpc.Channel:
    """Open a channel until the check ends.

    Args:
        target: the server's address.
        interceptors: client interceptors for the channel.
        options: pairs of a channel argument's name and its value.

    Returns:
        The channel.

    Example:
        stub = teams_pb2_grpc.TeamsStub(connect(server.address))
    """
    channel = grpc.insecure_channel(target, options=options)
    clean_up(channel.close)
    return grpc.intercept_channel(channel, *interceptors) if interceptors else channel


def refuse_closed_channels() -> None:
    """Have a stub of Teams on a closed channel raise `NotYet` until the check ends: grpcio 1.85 ends the whole process.

    Example:
        refuse_closed_channels()
        teams_pb2_grpc.TeamsStub(called(answer, target))
    """
    genuine: Any = teams_pb2_grpc.TeamsStub.__init__

    def init(self: teams_pb2_grpc.TeamsStub, channel: object) -> None:
        if isinstance(channel, grpc.Channel) and not is_open(channel):
            raise NotYet("A stub got a channel that is closed. Did a `with` close it before anybody could use it?")
        genuine(self, channel)

    replaced = mock.patch.object(teams_pb2_grpc.TeamsStub, "__init__", init)
    replaced.start()
    clean_up(replaced.stop)


def is_open(channel: grpc.Channel) -> bool:
    """Return whether a channel still takes calls; on a closed one grpcio raises before anything is sent."""
    try:
        channel.unary_unary("/Nobody/Nothing", bytes, bytes)(b"", timeout=0)
    except ValueError:  # "Cannot invoke RPC on closed channel!"
        return False
    except grpc.RpcError:
        pass
    return True
