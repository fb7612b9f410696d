"""Talk in both directions at once."""

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from teams_lib import BackgroundServer, Game, League, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.exercises import NotYet, called, clean_up, connect, exercise, expect_equal, serve
from teams_lib.league import TEAMS

import grpc

SOON: Final = 1.0
"""Seconds within which something has to happen that nothing holds up."""

CONVERSATION: Final = 2.0
"""Seconds for several messages in a row."""

A_DAY: Final = 86_400.0

NEWS: Final = Game("Boston", "Chicago", 14, 21)
OTHER_NEWS: Final = Game("Seattle", "Detroit", 7, 3)
FAR_AWAY: Final = "Llanfair" * 1_250
"""A city whose games are messages of 10 kB."""


class _Watched(TeamsServicer):
    """Notes what a check needs to know of the FollowTeams calls: deadlines, the last half-close, that one follows."""

    def __init__(self) -> None:
        super().__init__()
        self.remaining: list[float | None] = []
        self.follows = threading.Event()
        self.half_closed = False

    def FollowTeams(
        self, request_iterator: Iterator[teams_pb2.FollowRequest], context: grpc.ServicerContext
    ) -> Iterator[teams_pb2.ScoreUpdate]:
        """As in the base class."""
        self.remaining.append(context.time_remaining())
        self.half_closed = False

        def requests() -> Iterator[teams_pb2.FollowRequest]:
            yield from request_iterator
            self.half_closed = True

        for update in super().FollowTeams(requests(), context):
            self.follows.set()
            yield update


def _serve(servicer: object) -> tuple[BackgroundServer, Any]:
    server = serve(servicer)
    # Small windows: a client that reads nothing soon holds up the handler.
    channel = connect(server.address, options=[("grpc.http2.bdp_probe", 0)])
    return server, teams_pb2_grpc.TeamsStub(channel)


def _soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + SOON
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def _senders() -> set[threading.Thread]:
    """The threads in which grpc takes the requests of a call from their iterator."""
    found = set()
    frames = sys._current_frames()
    # Our own frame holds this dictionary: a cycle, which would keep the variables of every thread alive.
    del frames[threading.get_ident()]
    for thread in threading.enumerate():  # not by their idents: a new thread may get that of one that has ended
        frame = frames.get(thread.ident or 0)
        if frame is None:
            continue
        while frame.f_back is not None and frame.f_code.co_name != "consume_request_iterator":
            frame = frame.f_back
        if frame.f_code.co_name == "consume_request_iterator":
            found.add(thread)
    return found


def _require_deadline(call: str, servicer: _Watched) -> None:
    # Without a deadline, grpcio's server counts down to one in the far future.
    if servicer.remaining and (servicer.remaining[-1] or A_DAY) >= A_DAY:
        raise NotYet(f"I called {call}. Its call of FollowTeams has no deadline, so it could wait for ever.")


@exercise(
    "07.1",
    title="Whom do you follow?",
    stub='''
    def followed(stub, cities):
        """Follow the cities in one call; return the list that the server names last."""
        ...
    ''',
    solution='''
    def followed(stub, cities):
        """Follow the cities in one call; return the list that the server names last."""
        last = []
        for update in stub.FollowTeams(map(follow, cities), timeout=5):
            last = list(update.following.cities)
        return last
    ''',
    why="The requests are known in advance, so the iterator half-closes by its end, and the loop ends with the call.",
    hints=(
        "You know all requests in advance: you need no queue. What makes a `FollowRequest` of each city?",
        "`map(follow, cities)` is an iterator that ends by itself. Loop over the call, and remember the latest list.",
    ),
)
def _(answer: Any) -> None:
    servicer = _Watched()
    server, stub = _serve(servicer)
    before = _senders()
    for calls, cities, expected in (
        (1, ["Seattle", "Boston", "Chicago"], ["Boston", "Chicago", "Seattle"]),
        (2, ["Detroit", "Miami"], ["Detroit"]),
        (3, [], []),
    ):
        call = f"followed(stub, {cities})"
        got = _followed(answer, stub, cities, call, server, servicer)
        if hasattr(got, "__iter__") and not isinstance(got, str):
            got = list(got)
        expect_equal(call=call, expected=expected, got=got)
        _require_deadline(call, servicer)
        if cities:
            _require_nothing_left(f"{call}, and the list is right", server, calls, before)
        if len(servicer.remaining) > calls:
            raise NotYet(f"I called {call}. Expected one call of FollowTeams, but it made more.")


def _followed(
    answer: Any, stub: Any, cities: list[str], call: str, server: BackgroundServer, servicer: _Watched
) -> object:
    """Call the learner's function. If its requests do not end, the server ends the waiting before the runner has to."""
    endless = threading.Event()

    def end_the_wait() -> None:
        if servicer.remaining and not servicer.half_closed:
            endless.set()
            server.stop()

    timer = threading.Timer(SOON, end_the_wait)
    timer.start()
    try:
        return called(answer, stub, cities)
    except Exception as error:
        if endless.is_set():
            raise NotYet(f"I called {call}. A second later, it still waits: its requests never end.") from None
        error.add_note(f"when I called {call}")  # no city is an input that is easily forgotten
        raise
    finally:
        timer.cancel()


@exercise(
    "07.2",
    title="Mend a client that never hangs up",
    stub="""
    def next_game(stub, city, timeout):
        inbox = queue.SimpleQueue()
        inbox.put(follow(city))
        for update in stub.FollowTeams(iter(inbox.get, None)):
            if update.WhichOneof("update") == "game":
                return update.game
        return None
    """,
    solution="""
    def next_game(stub, city, timeout):
        inbox = queue.SimpleQueue()
        inbox.put(follow(city))
        updates = stub.FollowTeams(iter(inbox.get, None), timeout=timeout)
        try:
            for update in updates:
                if update.WhichOneof("update") == "game":
                    return update.game
        finally:
            inbox.put(None)
            updates.cancel()
        return None
    """,
    why="`finally` runs after a return and after an error. The sentinel frees gRPC's thread and half-closes the call. "
    "FollowTeams ends then; cancel() ends the call with any server.",
    hints=(
        "Two things are missing: a deadline, and a goodbye, after which both gRPC's thread and the call end.",
        "A `return` inside a loop leaves at once, and so does an error. What runs all the same?",
        "`try: … finally:`, with `inbox.put(None)`. With the call in a variable, you can `cancel()` it there too.",
    ),
)
def _(answer: Any) -> None:
    servicer = _Watched()
    server, stub = _serve(servicer)
    before = _senders()

    def season() -> None:
        if servicer.follows.wait(CONVERSATION):
            server.wait_for_calls(1, 0.2)  # a client that half-closed too early has left by then
            servicer.league.record(OTHER_NEWS)
            servicer.league.record(NEWS)

    threading.Thread(target=season, name="season of the check").start()
    call = "next_game(stub, 'Chicago', timeout=2)"
    got = called(answer, stub, "Chicago", 2)
    if not isinstance(got, teams_pb2.GameResult):
        raise NotYet(f"I called {call}, and a game was played. Expected that game, but got {got!r}.")
    expect_equal(call=call, expected=NEWS.away_city, got=got.away_city)
    _require_deadline(call, servicer)
    _require_nothing_left(f"{call}, and it returned the game", server, 1, before)

    call = "next_game(stub, 'Chicago', timeout=0.2), and no game was played"
    code: object = None
    try:
        got = called(answer, stub, "Chicago", 0.2)
    except grpc.RpcError as error:
        code = error.code()
    if code != grpc.StatusCode.DEADLINE_EXCEEDED:
        came = code or f"the value {got!r}"
        raise NotYet(f"I called {call}. Expected the error DEADLINE_EXCEEDED to come out, but got {came}.")
    _require_nothing_left(call, server, 2, before)


def _require_nothing_left(call: str, server: BackgroundServer, calls: int, before: set[threading.Thread]) -> None:
    if not _soon(lambda: _senders() <= before):
        raise NotYet(f"I called {call}. A second later, a thread of gRPC still waits: the requests never end.")
    if len(server.wait_for_calls(calls, SOON)) < calls:
        raise NotYet(f"I called {call}. A second later, the handler on the server still runs.")


class _CountedLeague(League):
    """A league that knows how many listeners it has."""

    def __init__(self) -> None:
        super().__init__({**TEAMS, FAR_AWAY: "Nobodies"})
        self.listeners: set[object] = set()

    def listen(self, listener: Callable[[Game], None]) -> Callable[[], None]:
        """As in the base class."""
        stop, key = super().listen(listener), object()
        self.listeners.add(key)

        def counted() -> None:
            stop()
            self.listeners.discard(key)

        return counted


class _Client:
    """One FollowTeams call of the check, which says in the learner's words what did not come."""

    def __init__(self, stub: Any) -> None:
        self.inbox: queue.SimpleQueue[teams_pb2.FollowRequest | None] = queue.SimpleQueue()
        self.updates = stub.FollowTeams(iter(self.inbox.get, None), timeout=CONVERSATION)
        clean_up(lambda: self.inbox.put(None))

    def follow(self, city: str) -> None:
        self.inbox.put(teams_pb2.FollowRequest(action=teams_pb2.FollowRequest.FOLLOW, city=city))
        update = self.next(f"I followed {city}. Expected an answer")
        if city not in update.following.cities:
            raise NotYet(f"I followed {city}. Expected an answer that names {city}, but got {_shown(update)}.")

    def next(self, expected: str) -> teams_pb2.ScoreUpdate:
        try:
            update: teams_pb2.ScoreUpdate = next(self.updates)
        except StopIteration:
            raise NotYet(f"{expected}, but the call ended.") from None
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise NotYet(f"{expected}, but nothing came within two seconds.") from None
            raise NotYet(f"{expected}, but the call ended with {error.code()}: {error.details()}") from None
        return update

    def game(self, what: str, expected: Game) -> None:
        got = self.next(f"{what}. Expected that game").game
        if (got.home_city, got.away_city) != (expected.home_city, expected.away_city):
            came = f"{got.home_city} against {got.away_city}" if got.home_city else "another update"
            raise NotYet(f"{what}. Expected that game, and no other, but got {came}.")


def _shown(update: teams_pb2.ScoreUpdate) -> str:
    return " ".join(str(update).split()) or "an empty update"


@exercise(
    "07.3",
    title="Build a handler that pushes",
    stub='''
    class PushingServicer(TeamsServicer):
        def FollowTeams(self, request_iterator, context):
            """Answer each request, and push the games of the followed teams."""
            ...
    ''',
    solution='''
    class PushingServicer(TeamsServicer):
        def FollowTeams(self, request_iterator, context):
            """Answer each request, and push the games of the followed teams."""
            outbox = queue.SimpleQueue()
            cities = set()

            def take(request):
                cities.add(request.city)
                return answer(request)

            def on_game(game):
                if game.home_city in cities or game.away_city in cities:
                    outbox.put(news(game))

            stop_listening = self.league.listen(on_game)
            reader = threading.Thread(target=read, args=(request_iterator, outbox, take))
            reader.start()
            try:
                yield from iter(outbox.get, None)
            finally:
                stop_listening()
    ''',
    why="The reader sends the sentinel at the half-close and after a cancellation, and `finally` runs in both cases.",
    hints=(
        "Start from `TwoThreads`. Where can you remember the cities of this one call?",
        "`read` calls `make(request)` for each request: a function of yours can add the city and return the answer.",
        "When a client cancels, the code after the loop of `yield` may never run, unless it stands in a `finally`.",
    ),
)
def _(answer: Any) -> None:
    if getattr(answer, "FollowTeams", None) is TeamsServicer.FollowTeams:
        raise NotYet("I looked for a FollowTeams of your own, but the class inherits the course's: define it there.")
    league = _CountedLeague()
    server, stub = _serve(called(answer, league))

    client = _Client(stub)
    client.follow("Chicago")
    time.sleep(0.05)  # a handler that looks for games after its answer has looked by then, and waits for a request
    league.record(NEWS)
    client.game("I followed Chicago, sent no more requests, and Chicago played in Boston", NEWS)
    client.follow("Detroit")
    league.record(Game("Seattle", "Arizona", 3, 3))
    league.record(OTHER_NEWS)
    client.game("I followed Chicago and Detroit. Seattle played Arizona, then Detroit", OTHER_NEWS)
    client.inbox.put(None)
    try:
        rest = list(client.updates)
    except grpc.RpcError as error:
        raise NotYet(f"I half-closed the call. Expected it to end, but it went on until {error.code()}.") from None
    if rest:
        raise NotYet(f"I half-closed the call. Expected no more updates, but got {_shown(rest[0])}.")
    if not _soon(lambda: not league.listeners):
        raise NotYet("I half-closed the call, and it ended. A second later, its handler still listens to the league.")

    client = _Client(stub)
    client.follow("Seattle")
    league.record(NEWS)
    league.record(OTHER_NEWS)
    client.game("In a new call I followed Seattle only. Boston played Chicago, then Seattle played Detroit", OTHER_NEWS)
    client.updates.cancel()
    if len(server.wait_for_calls(2, SOON)) < 2:
        raise NotYet("I cancelled a call. A second later, its handler still runs and holds a worker.")
    if not _soon(lambda: not league.listeners):
        raise NotYet("I cancelled a call. A second later, its handler still listens to the league.")

    client = _Client(stub)
    client.follow("Seattle")
    # More than flow control lets through on this channel: the handler surely stands at a yield.
    for _ in range(100):
        league.record(Game("Seattle", FAR_AWAY, 7, 3))
    client.updates.cancel()
    if len(server.wait_for_calls(3, SOON)) < 3:
        raise NotYet("I cancelled a call while many games waited. A second later, its handler still runs.")
    if not _soon(lambda: not league.listeners):
        raise NotYet(
            "I cancelled a call while many games waited. A second later, its handler still listens to the league."
        )
