"""TITLE."""

from typing import Any

from teams_lib import TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.exercises import NotYet, called, connect, exercise, expect_equal, serve

import grpc


def _nickname(stub: Any, city: str) -> str:
    """What the learner's server answers; if it ends the call with an error, that is the message."""
    try:
        response = stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=2)
    except grpc.RpcError as error:
        raise NotYet(f"I called GetTeam(city={city!r}). It ended with {error.code().name}: {error.details()}") from None
    return str(response.nickname)


@exercise(
    "NN.1",
    title="A one-liner",
    stub="""
    def nickname_of(stub, city):
        \"\"\"Return the nickname of the team of a city.\"\"\"
        ...
    """,
    solution="""
    def nickname_of(stub, city):
        return stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=5).nickname
    """,
    why="The stub's method takes the request and returns the response, whose fields are attributes.",
    hints=("You called `stub.GetTeam` above. What has its response besides the city?",),
)
def _(answer: Any) -> None:
    stub = teams_pb2_grpc.TeamsStub(connect(serve(TeamsServicer()).address))
    for city, expected in (("Chicago", "Jackals"), ("Miami", "not a member")):
        expect_equal(call=f"nickname_of(stub, {city!r})", expected=expected, got=called(answer, stub, city))


@exercise(
    "NN.2",
    title="Mend what is there",
    stub="""
    def nicknames_of(stub, cities):
        request = teams_pb2.TeamRequest(city=cities[0])
        return [stub.GetTeam(request, timeout=5).nickname for _ in cities]
    """,
    solution="""
    def nicknames_of(stub, cities):
        requests = [teams_pb2.TeamRequest(city=city) for city in cities]
        return [stub.GetTeam(request, timeout=5).nickname for request in requests]
    """,
    why="Each call gets a request of its own, and the list keeps the order of the cities.",
    hints=("How many requests does the function make, and how many should it make?",),
)
def _(answer: Any) -> None:
    stub = teams_pb2_grpc.TeamsStub(connect(serve(TeamsServicer()).address))
    for cities, expected in (
        (["Boston", "Chicago"], ["Revolutionaries", "Jackals"]),
        ([], []),
    ):
        expect_equal(call=f"nicknames_of(stub, {cities})", expected=expected, got=called(answer, stub, cities))


@exercise(
    "NN.3",
    title="Build something small",
    stub="""
    class PoliteServicer(TeamsServicer):
        def GetTeam(self, request, context):
            # Your code, in place of the dots.
            ...
    """,
    solution="""
    class PoliteServicer(TeamsServicer):
        def GetTeam(self, request, context):
            response = super().GetTeam(request, context)
            response.nickname = f"the {response.nickname}"
            return response
    """,
    why="A handler may call the one that it overrides: it is a method that takes a request and returns a response.",
    hints=(
        "The class that you inherit from has a `GetTeam` already. Call it, and change its answer.",
        "`super().GetTeam(request, context)` is the answer. Its `nickname` can be set.",
    ),
)
def _(answer: Any) -> None:
    stub = teams_pb2_grpc.TeamsStub(connect(serve(called(answer)).address))
    for city, expected in (("Chicago", "the Jackals"), ("Seattle", "the Orcas")):
        expect_equal(call=f"GetTeam(city={city!r})", expected=expected, got=_nickname(stub, city))
