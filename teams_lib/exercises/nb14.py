"""Find out what is wrong."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final
from unittest.mock import patch

from teams_lib import League, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.exercises import NotYet, called, clean_up, connect, exercise, expect_equal, refuse_closed_channels, serve
from teams_lib.league import Team
from teams_lib.wire import WireTap

import grpc

PATIENCE: Final = 0.7  # seconds that a check waits for what a right answer does much sooner
CHICAGO: Final = teams_pb2.TeamRequest(city="Chicago")
GAME: Final = teams_pb2.GameResult(home_city="Boston", away_city="Chicago", home_score=1)


def _said(error: grpc.RpcError) -> str:
    """What an error says, without what differs from run to run: the address, and the words around it."""
    details = str(error.details()).partition("':")[2] or str(error.details())
    return f"{error.code().name} · {details.removeprefix('Stream removed (').removesuffix(')')}"


def _stub(target: str) -> Any:
    return teams_pb2_grpc.TeamsStub(connect(target))


# --- 14.1 -------------------------------------------------------------------------------------------------------------


class _Wordy(TeamsServicer):
    """Answers with a nickname of as many bytes as the city says."""

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        return teams_pb2.TeamResponse(nickname="x" * int(request.city))


@exercise(
    "14.1",
    title="The limit that was raised",
    stub="""
    def connect(target):
        options = [("grpc.max_send_message_length", 20_000_000)]
        return grpc.insecure_channel(target, options=options)
    """,
    solution="""
    def connect(target):
        options = [("grpc.max_receive_message_length", 20_000_000)]
        return grpc.insecure_channel(target, options=options)
    """,
    why="Whoever receives a message limits it, and the answer is received by the channel.",
    hints=(
        "The instrument is the text. Its first word says who is speaking: the client. What is it doing at that moment?",
        "It receives. What does the option in `connect` limit?",
        "`grpc.max_send_message_length` limits what the client sends. The option that matters is called `LIMIT` in "
        "this notebook.",
    ),
)
def _(answer: Any) -> None:
    refuse_closed_channels()
    channel = called(answer, serve(_Wordy()).address)
    if not isinstance(channel, grpc.Channel):
        raise NotYet(f"I called connect(target). Expected a channel, but got {channel!r}.")
    clean_up(channel.close)
    stub = teams_pb2_grpc.TeamsStub(channel)
    try:
        stub.GetTeam(teams_pb2.TeamRequest(city="8000000"), timeout=3)
    except grpc.RpcError as error:
        raise NotYet(f"I asked for an answer of 8 million bytes. It ended with {_said(error)}.") from None
    with suppress(grpc.RpcError):
        stub.GetTeam(teams_pb2.TeamRequest(city="21000000"), timeout=3)
        raise NotYet("An answer of 8 million bytes comes through. So does one of 21 million, which should not.")


# --- 14.2 -------------------------------------------------------------------------------------------------------------


@exercise(
    "14.2",
    title="The stream that nobody cancelled",
    stub="""
    def teams_of(target, request):
        with grpc.insecure_channel(target) as channel:
            return teams_pb2_grpc.TeamsStub(channel).ListTeams(request, timeout=5)
    """,
    solution="""
    def teams_of(target, request):
        with grpc.insecure_channel(target) as channel:
            yield from teams_pb2_grpc.TeamsStub(channel).ListTeams(request, timeout=5)
    """,
    why="A generator is inside its with block until the last team is read, so the channel lives as long as the stream.",
    hints=(
        "The instrument is the text: what was closed? Ask who closes it, and at which moment.",
        "The `with` block ends at `return`. Has anybody read a team by then?",
        "The teams have to be read while the block runs. A function that yields stays in its block until it given "
        "the last one.",
    ),
)
def _(answer: Any) -> None:
    server = serve(TeamsServicer())
    for prefix, expected in (("S", ["San Francisco", "Seattle"]), ("Atlantis", [])):
        tap = WireTap(server)
        clean_up(tap.close)
        request = teams_pb2.ListTeamsRequest(city_prefix=prefix)
        call = f"[team.city for team in teams_of(target, request)], for cities with {prefix!r}"
        kept: list[grpc.Channel] = []  # a channel that nobody holds would close itself
        make = grpc.insecure_channel

        def keeping(*args: Any, make: Any = make, kept: list[grpc.Channel] = kept, **kwargs: Any) -> grpc.Channel:
            kept.append(make(*args, **kwargs))
            clean_up(kept[-1].close)
            return kept[-1]

        try:
            with patch.object(grpc, "insecure_channel", keeping):
                got = [team.city for team in called(answer, tap.address, request)]
        except grpc.RpcError as error:
            raise NotYet(f"I ran {call}, and the loop got {_said(error)}") from None
        expect_equal(call=call, expected=expected, got=got)
        try:
            tap.wait_for(lambda talk: any(frame.kind == "CLOSED" for frame in talk.frames), timeout=PATIENCE)
        except TimeoutError:
            raise NotYet(f"I ran {call}. The cities are right, but the connection is still open.") from None


# --- 14.3 -------------------------------------------------------------------------------------------------------------


class _Watchful(TeamsServicer):
    """Keeps what comes along with each call."""

    def __init__(self) -> None:
        super().__init__()
        self.metadata: list[tuple[str, str]] = []
        self.seconds = 0.0

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        self.metadata = [(key, str(value)) for key, value in context.invocation_metadata()]
        self.seconds = context.time_remaining()
        return super().GetTeam(request, context)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.metadata if key == name]


@exercise(
    "14.3",
    title="The request with three names",
    stub="""
    class AddId(ClientInterceptor):
        def intercept(self, method, request, details):
            details.metadata.append(("x-request-id", uuid4().hex))
            return method(request, details)
    """,
    solution="""
    class AddId(ClientInterceptor):
        def intercept(self, method, request, details):
            metadata = [*(details.metadata or ()), ("x-request-id", uuid4().hex)]
            return method(request, details._replace(metadata=metadata))
    """,
    why="A new list in new details leaves the caller's own list alone, and works without one, too.",
    hints=(
        "The instrument is the server's log: what came with the first call, the second, the third?",
        "Whose list is `details.metadata`? And what is it if the caller passes a tuple, or no metadata at all?",
        "Make a list of your own, `[*(details.metadata or ()), …]`, and pass `details._replace(metadata=…)` on, "
        "or the new details that notebook 11 makes.",
    ),
)
def _(answer: Any) -> None:
    servicer = _Watchful()
    channel = grpc.intercept_channel(connect(serve(servicer).address), called(answer))
    stub = teams_pb2_grpc.TeamsStub(channel)
    seen: set[str] = set()
    cases: list[tuple[str, Any]] = [("the same list of", [("caller", "ada")])] * 3
    for number, (kind, metadata) in enumerate([*cases, ("a tuple of", (("caller", "ada"),)), ("no", None)], start=1):
        stub.GetTeam(CHICAGO, timeout=3, metadata=metadata)
        ids = servicer.values("x-request-id")
        what = f"Call {number} passed {kind} metadata" + (", as the calls before it." if 1 < number < 4 else ".")
        if len(ids) != 1:
            raise NotYet(f"{what} It arrived with {len(ids)} ids.")
        if seen & set(ids):
            raise NotYet(f"{what} It arrived with the id of another call.")
        if servicer.values("caller") != ["ada"] * bool(metadata):
            raise NotYet(f"{what} What the caller had passed did not arrive.")
        if servicer.seconds > 60:
            raise NotYet(f"{what} Its timeout=3 did not arrive.")
        seen.update(ids)


# --- 14.4 -------------------------------------------------------------------------------------------------------------


class _SlowLeague(League):
    """Keeps whoever looks for a team until two are looking."""

    def __init__(self) -> None:
        super().__init__()
        self.both = threading.Barrier(2)

    def find(self, city: str) -> Team | None:
        with suppress(threading.BrokenBarrierError):
            self.both.wait(PATIENCE)
        return super().find(city)


def _switching(servicer: Any) -> Any:
    """The servicer, with a switch to the other thread after each line that stores something in it."""
    kind = type(servicer)
    both = threading.Barrier(2)

    def store(self: Any, name: str, value: Any) -> None:
        super(kind, self).__setattr__(name, value)
        with suppress(threading.BrokenBarrierError):
            both.wait(PATIENCE / 3)

    servicer.__class__ = type(kind.__name__, (kind,), {"__setattr__": store})
    return servicer


@exercise(
    "14.4",
    title="The answer to another question",
    stub="""
    class CityServicer(TeamsServicer):
        def GetTeam(self, request, context):
            self.city = request.city
            team = self.league.find(self.city)
            nickname = team.nickname if team else "not a member"
            return teams_pb2.TeamResponse(city=self.city, nickname=nickname)
    """,
    solution="""
    class CityServicer(TeamsServicer):
        def GetTeam(self, request, context):
            team = self.league.find(request.city)
            nickname = team.nickname if team else "not a member"
            return teams_pb2.TeamResponse(city=request.city, nickname=nickname)
    """,
    why="There is one servicer for all calls, so what belongs to one call stays in the handler's own variables.",
    hints=(
        "The instrument is two calls at once: one alone is always right. What do the two share?",
        "How many `CityServicer` objects does a server have, and in how many threads does `GetTeam` run?",
        "`self.city` is one attribute, and the second call overwrites it while the first looks for its team.",
    ),
)
def _(answer: Any) -> None:
    league = _SlowLeague()
    stub = _stub(serve(_switching(called(answer, league))).address)
    cities = {"Chicago": "Jackals", "Boston": "Revolutionaries"}
    calls = {city: stub.GetTeam.future(teams_pb2.TeamRequest(city=city), timeout=3) for city in cities}
    answers = {city: call.result() for city, call in calls.items()}
    what = "I asked for Chicago and for Boston at the same time."
    if len({each.city for each in answers.values()}) == 1:
        raise NotYet(f"{what} Both answers were for one and the same city.")
    if {city: each.nickname for city, each in answers.items()} != cities:
        raise NotYet(f"{what} The nicknames were not those of Chicago and Boston.")
    if league.both.broken:
        raise NotYet(f"{what} The answers are right, but one call had to wait until the other was done.")
    got = _stub(serve(called(answer, League())).address).GetTeam(teams_pb2.TeamRequest(city="Atlantis"), timeout=3)
    expect_equal(call="GetTeam for Atlantis", expected="not a member", got=got.nickname)


# --- 14.5 -------------------------------------------------------------------------------------------------------------


class _Games(list[teams_pb2.GameResult]):
    """Keeps the last game back until `report` has come back, a moment at most: they never all arrive before that."""

    def __init__(self, games: Iterable[teams_pb2.GameResult]) -> None:
        super().__init__(games)
        self.is_back = threading.Event()

    def __iter__(self) -> Iterator[teams_pb2.GameResult]:
        yield from self[:-1]
        self.is_back.wait(PATIENCE / 3)
        yield from self[-1:]


@exercise(
    "14.5",
    title="The games that never arrive",
    stub="""
    def report(stub, games):
        stub.ReportGames.future(iter(games), timeout=5)
    """,
    solution="""
    def report(stub, games):
        return stub.ReportGames(iter(games), timeout=5).accepted
    """,
    why="Somebody has to hold the call until it is over, and the summary is there only then.",
    hints=(
        "The instrument is the server's log, `server.calls`: which status has the call there?",
        "CANCELLED. Nobody calls cancel(), so who does? Who holds the call when `report` has returned?",
        "A call that nobody holds cancels itself (notebook 05). Wait for the summary, and return its `accepted`.",
    ),
)
def _(answer: Any) -> None:
    for reported, accepted in (([GAME] * 1_000, 1_000), ([GAME, teams_pb2.GameResult(home_city="Atlantis")], 1)):
        games = _Games(reported)
        servicer = TeamsServicer()
        stub = _stub(serve(servicer).address)
        call = f"report(stub, games) with {len(games)} games"
        got = called(answer, stub, games)
        games.is_back.set()
        if got is None:
            time.sleep(0.2)  # for the games to arrive
        counted = sum(record.wins for record in servicer.league.standings())
        if counted < accepted:
            raise NotYet(f"I called {call}. It came back, but the server has not counted them all.")
        if isinstance(got, teams_pb2.SeasonSummary):
            raise NotYet(f"I called {call}. Expected {accepted}, but got the whole summary.")
        expect_equal(call=call, expected=accepted, got=got)


# --- 14.6 -------------------------------------------------------------------------------------------------------------


class _WarmingUp(TeamsServicer):
    """Refuses the first calls."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals, self.asked = refusals, 0

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        self.asked += 1
        if self.asked <= self.refusals:
            context.abort(grpc.StatusCode.UNAVAILABLE, "warming up")
        return super().GetTeam(request, context)


@exercise(
    "14.6",
    title="The patience that wasn't there",
    stub="""
    RETRY = {"maxAttempts": 4, "initialBackoff": "0.01s", "maxBackoff": "0.1s"}
    RETRY |= {"backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}
    CONFIG = {"methodConfig": [{"name": [{"service": "Teams"}], "retry_policy": RETRY}]}
    """,
    solution="""
    RETRY = {"maxAttempts": 4, "initialBackoff": "0.01s", "maxBackoff": "0.1s"}
    RETRY |= {"backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}
    CONFIG = {"methodConfig": [{"name": [{"service": "Teams"}], "retryPolicy": RETRY}]}
    """,
    why="The key is spelt as gRPC spells it; a key that it doesn't know is skipped without a word.",
    hints=(
        'The instrument is `attempts(json.dumps(CONFIG))`, and then a comparison with `policy("Teams")`, which works.',
        "A broken value would be loud, so nobody has looked at these values. Under which key do they stand?",
        "gRPC spells its keys like `maxAttempts`: no underscore, a capital for each further word. One key differs.",
    ),
)
def _(answer: Any) -> None:
    config = answer if isinstance(answer, str) else json.dumps(answer)
    for refusals, expected in ((9, 4), (2, 3)):
        servicer = _WarmingUp(refusals)
        address = serve(servicer).address
        stub = teams_pb2_grpc.TeamsStub(connect(address, options=[("grpc.service_config", config)]))
        said = "an answer"
        try:
            stub.GetTeam(CHICAGO, timeout=3)
        except grpc.RpcError as error:
            said = _said(error)
        if servicer.asked != expected:
            raise NotYet(
                f"I called a service that refuses the first {refusals} calls. Expected {expected} attempts, "
                f"but it got {servicer.asked}, and the caller {said}."
            )


# --- 14.7 -------------------------------------------------------------------------------------------------------------


class _Renamed(League):
    """Chicago's team has a new name."""

    def find(self, city: str) -> Team | None:
        return Team(city, "Gulls") if city == "Chicago" else super().find(city)


@exercise(
    "14.7",
    title="The service that waits for itself",
    stub="""
    class AliasServicer(TeamsServicer):
        def GetTeam(self, request, context):
            if request.city == "Windy City":
                request = teams_pb2.TeamRequest(city="Chicago")
                return self.stub.GetTeam(request, timeout=context.time_remaining())
            return super().GetTeam(request, context)
    """,
    solution="""
    class AliasServicer(TeamsServicer):
        def GetTeam(self, request, context):
            if request.city == "Windy City":
                request = teams_pb2.TeamRequest(city="Chicago")
            return super().GetTeam(request, context)
    """,
    why="A method of the same object needs no worker of its own; a call to the same server does.",
    hints=(
        "The instrument is a dump of the threads, or channelz: two calls have begun in the server, and one handler.",
        "The one worker waits in GetTeam, for an answer to its own call. Who is to answer that?",
        "Nobody is left. Let the handler do the work itself: a handler is a method, and needs no network.",
    ),
)
def _(answer: Any) -> None:
    servicer = called(answer)
    servicer.stub = stub = _stub(serve(servicer, max_workers=1).address)
    cities = [("Windy City", "Jackals"), ("Boston", "Revolutionaries"), ("Atlantis", "not a member")]
    for city, nickname in [*cities, ("Windy City", "Gulls")]:
        if nickname == "Gulls":
            servicer.league = _Renamed()
        what = f"I asked for {city}, of a server with one worker."
        try:
            got = stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=0.5).nickname
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                waits = "Half a second went by, and the handler still waits"
                raise NotYet(f"{what} {waits}: DEADLINE_EXCEEDED.") from None
            if "DEADLINE_EXCEEDED" in str(error.details()):
                raise NotYet(f"{what} The handler made a call that nobody answered: DEADLINE_EXCEEDED.") from None
            raise NotYet(f"{what} It ended with {_said(error)}.") from None
        renamed = ", after Chicago's team was renamed" if nickname == "Gulls" else ""
        expect_equal(call=f"GetTeam for {city}{renamed}", expected=nickname, got=got)


# --- 14.8 -------------------------------------------------------------------------------------------------------------


def _inside_a_loop(make: Callable[[], Any]) -> Any:
    """Call a function where a loop runs, as in a cell of a notebook. The loop stays open until the check ends."""
    loop = asyncio.new_event_loop()

    async def inside() -> Any:
        return make()

    async def cancel_the_rest() -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def close() -> None:
        loop.run_until_complete(cancel_the_rest())
        loop.close()

    clean_up(close)
    return loop.run_until_complete(inside())


@exercise(
    "14.8",
    title="The client from another loop",
    stub="""
    class TeamsClient:
        def __init__(self, target):
            self.stub = teams_pb2_grpc.TeamsStub(grpc.aio.insecure_channel(target))

        def nickname(self, city):
            return asyncio.run(self.ask(city))

        async def ask(self, city):
            request = teams_pb2.TeamRequest(city=city)
            return (await self.stub.GetTeam(request, timeout=5)).nickname
    """,
    solution="""
    class TeamsClient:
        def __init__(self, target):
            self.target = target

        def nickname(self, city):
            return asyncio.run(self.ask(city))

        async def ask(self, city):
            request = teams_pb2.TeamRequest(city=city)
            async with grpc.aio.insecure_channel(self.target) as channel:
                stub = teams_pb2_grpc.TeamsStub(channel)
                return (await stub.GetTeam(request, timeout=5)).nickname
    """,
    why="asyncio.run makes a new loop each time, and an aio channel belongs to the loop in which it was made.",
    hints=(
        "The instrument is the text: two loops. Find the line that makes the channel, and the loop in which it runs.",
        "Each `asyncio.run` makes a loop of its own, and closes it at the end. The channel is older than all of them.",
        "`ask` runs in the loop of its call. A channel made there belongs to that loop, and must be closed there.",
    ),
    allow_threads=True,  # a loop of the client's own, or gRPC's poller
)
def _(answer: Any) -> None:
    address = serve(TeamsServicer()).address
    client = _inside_a_loop(lambda: called(answer, address))
    cities = {"Chicago": "Jackals", "Boston": "Revolutionaries"}

    def ask(city: str) -> None:
        call = f"TeamsClient(target).nickname({city!r})"
        try:
            got = called(client.nickname, city)
        except RuntimeError as error:
            reason = str(error).rpartition("> ")[2].rstrip(".")  # without the coroutine, whose text has addresses
            raise NotYet(f"I called {call}. It raised RuntimeError: … {reason}.") from None
        if asyncio.iscoroutine(got):
            got.close()  # or Python warns, in the learner's cell, that nobody has awaited it
            raise NotYet(f"I called {call}. Expected {cities[city]!r}, but got a coroutine.")
        expect_equal(call=call, expected=cities[city], got=got)

    for city in cities:
        ask(city)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(ask, cities))
