"""The shared code of the course on gRPC in Python: the Teams service, and what the notebooks need around it."""

import importlib
import sys
from typing import TYPE_CHECKING, Any

try:
    from teams_lib import environment
except ModuleNotFoundError as error:  # a Python that finds this folder, since it runs in the one above
    raise ModuleNotFoundError(
        f"{error}: {sys.executable} does not have the course installed. "
        "Use the Python of its environment, or install it, as README.md says.",
        name=error.name,
    ) from None

environment.prepare()  # before the first import of grpc, here or in a notebook

if TYPE_CHECKING:
    from teams_lib import teams_pb2, teams_pb2_grpc
    from teams_lib.league import Game, League
    from teams_lib.server import BackgroundServer, Call
    from teams_lib.servicer import TeamsServicer
    from teams_lib.trouble import explain

__all__ = ["BackgroundServer", "Call", "Game", "League", "TeamsServicer", "explain", "teams_pb2", "teams_pb2_grpc"]

_HOMES = {
    "BackgroundServer": "server",
    "Call": "server",
    "Game": "league",
    "League": "league",
    "TeamsServicer": "servicer",
    "explain": "trouble",
}


def __getattr__(name: str) -> Any:
    # Loaded when first used: otherwise `python -m teams_lib.server` would find itself imported already, and warn.
    if name in _HOMES:
        return getattr(importlib.import_module(f"teams_lib.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'teams_lib' has no attribute {name!r}")
