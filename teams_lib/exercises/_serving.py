"""Servers and channels for checks: they end when the check ends, however it ends."""

import itertools
from collections.abc import Sequence
from typing import Any

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
