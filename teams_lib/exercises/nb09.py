"""Fail so that the caller knows what to do.

Every check looks at what a caller would get: the code, the words and the details of calls that really end.
"""

import functools
import logging
from typing import Any, Final

from teams_lib import TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.exercises import NotYet, called, clean_up, connect, exercise, expect_equal, serve

import grpc
from google.protobuf import duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status  # type: ignore[import-untyped]

CODES: Final = {
    "the prefix has 65 characters, and 64 are the most": grpc.StatusCode.INVALID_ARGUMENT,
    "games can't be reported before the season begins": grpc.StatusCode.FAILED_PRECONDITION,
    "somebody else changed the game after you read it": grpc.StatusCode.ABORTED,
    "no token: who are you?": grpc.StatusCode.UNAUTHENTICATED,
    "we know you, and only referees may report games": grpc.StatusCode.PERMISSION_DENIED,
    "these were your 1,000 calls for today": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "the database restarts, and is back in a second": grpc.StatusCode.UNAVAILABLE,
}

SAYS: Final = {
    "OK": "that nothing is wrong",
    "CANCELLED": "that the caller has given up",
    "UNKNOWN": "that nobody knows what happened",
    "INVALID_ARGUMENT": "that the request is wrong on any day, whatever the state of the server",
    "DEADLINE_EXCEEDED": "that the time was too short",
    "NOT_FOUND": "that the thing asked for does not exist",
    "ALREADY_EXISTS": "that the thing to be made is there already",
    "PERMISSION_DENIED": "that the caller is known, and has no right to this",
    "RESOURCE_EXHAUSTED": "that something is used up, such as a quota",
    "FAILED_PRECONDITION": "that nothing will help until somebody changes the state",
    "ABORTED": "that the caller should start its whole transaction again",
    "OUT_OF_RANGE": "that the request goes past the end of something",
    "UNIMPLEMENTED": "that the server has no such method",
    "INTERNAL": "that the server is broken",
    "UNAVAILABLE": "that the same call may succeed a little later",
    "DATA_LOSS": "that data are gone for good",
    "UNAUTHENTICATED": "that the server does not know who is calling",
}
"""What a caller takes each code for."""

_SITUATIONS: Final = "\n".join(f'    "{situation}": ...,' for situation in CODES)
_CHOSEN: Final = "\n".join(f'    "{situation}": grpc.StatusCode.{code.name},' for situation, code in CODES.items())


@exercise(
    "09.1",
    title="Choose the code",
    stub=f"codes = {{\n{_SITUATIONS}\n}}",
    solution=f"codes = {{\n{_CHOSEN}\n}}",
    why="Each code answers what the caller should do: mend the request, change the state, start over, or wait.",
    hints=(
        "Ask of each situation what its caller should do next, and then read the table of questions.",
        "Would the same request be right on another day? Then it is not INVALID_ARGUMENT.",
        "UNAVAILABLE: repeat the call. ABORTED: read again, and start over. FAILED_PRECONDITION: wait for a change.",
    ),
)
def _(answer: Any) -> None:
    if not isinstance(answer, dict) or set(answer) != set(CODES):
        raise NotYet("I expected a dict with the seven situations as they stood there, and a code for each.")
    open_ones = sum(code is ... for code in answer.values())
    for situation, expected in CODES.items():
        code = answer[situation]
        if code is ...:
            continue
        if not isinstance(code, grpc.StatusCode):
            raise NotYet(f"For {situation!r} I expected a member of grpc.StatusCode, but got {code!r}.")
        if code is not expected:
            raise NotYet(
                f"For {situation!r} you chose {code.name}. It tells the caller {SAYS[code.name]}. Is that so here?"
            )
    if open_ones:
        raise NotYet(f"Right so far. Still without a code: {open_ones} of {len(CODES)}.")


SECRET: Final = "archive@db-7: password 'orcas74' refused"


def _find(city: str) -> str | None:
    """The archive of the check: one team, and one city at which it breaks."""
    if city == "Boston":
        raise ConnectionError(SECRET)
    return {"Chicago": "Jackals"}.get(city)


class _Records(logging.Handler):
    """Keeps what is logged while a check runs, and keeps it from being printed into the learner's cell."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def _watch_the_log() -> list[logging.LogRecord]:
    """What goes through `logging`, to any logger, until the check ends."""
    handler = _Records()
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    tops = [each for each in loggers if each is logging.root or not each.propagate]
    for each in tops:
        each.addHandler(handler)
        clean_up(functools.partial(each.removeHandler, handler))
    return handler.records


def _code_and_details(stub: Any, city: str) -> tuple[grpc.StatusCode, str]:
    call = stub.GetTeam.future(teams_pb2.TeamRequest(city=city), timeout=2)
    return call.code(), call.details()


@exercise(
    "09.2",
    title="Mend: everything is INTERNAL",
    stub="""
    class ArchiveServicer(teams_pb2_grpc.TeamsServicer):
        def __init__(self, find):
            self.find = find

        def GetTeam(self, request, context):
            try:
                nickname = self.find(request.city)
                if nickname is None:
                    context.abort(grpc.StatusCode.NOT_FOUND, f"no team in {request.city}")
                return teams_pb2.TeamResponse(city=request.city, nickname=nickname)
            except Exception as error:
                context.abort(grpc.StatusCode.INTERNAL, f"the archive failed: {error}")
    """,
    solution="""
    class ArchiveServicer(teams_pb2_grpc.TeamsServicer):
        def __init__(self, find):
            self.find = find

        def GetTeam(self, request, context):
            try:
                nickname = self.find(request.city)
            except Exception:
                logging.exception("the archive failed")
                context.abort(grpc.StatusCode.INTERNAL, "the archive failed")
            if nickname is None:
                context.abort(grpc.StatusCode.NOT_FOUND, f"no team in {request.city}")
            return teams_pb2.TeamResponse(city=request.city, nickname=nickname)
    """,
    why="The try holds only the line that may fail, so no abort is caught; callers get words, the log the traceback.",
    hints=(
        "Which exception does the `except` catch for a city without a team? Who raised it?",
        "Let the `try` end after the line with `find`. What follows it may abort in peace.",
        "In the `except`: `logging.exception(…)` for you, and a fixed sentence for the caller.",
    ),
)
def _(answer: Any) -> None:
    records = _watch_the_log()
    servicer = called(answer, _find)
    if not hasattr(servicer, "GetTeam"):
        raise NotYet(f"I expected a servicer with the method GetTeam, but got {servicer!r}.")
    stub = teams_pb2_grpc.TeamsStub(connect(serve(servicer).address))
    code, details = _code_and_details(stub, "Chicago")
    if code is not grpc.StatusCode.OK:
        raise NotYet(f"I asked for Chicago, which has a team. Expected an answer, but got {code.name}: {details}")
    nickname = stub.GetTeam(teams_pb2.TeamRequest(city="Chicago"), timeout=2).nickname
    expect_equal(call="GetTeam for Chicago", expected="Jackals", got=nickname)

    code, details = _code_and_details(stub, "Atlantis")
    if code is not grpc.StatusCode.NOT_FOUND:
        raise NotYet(f"I asked for Atlantis, which has no team. Expected NOT_FOUND, but got {code.name}: {details}")
    if "Atlantis" not in details:
        raise NotYet(f"I asked for Atlantis. NOT_FOUND is right, but its text does not name the city: {details!r}")

    records.clear()
    code, details = _code_and_details(stub, "Boston")
    what = "I asked for Boston, where `find` raises."
    if code is not grpc.StatusCode.INTERNAL:
        raise NotYet(f"{what} Expected INTERNAL, but got {code.name}: {details}")
    if any(word in details for word in SECRET.split()) or "ConnectionError" in details:
        raise NotYet(f"{what} INTERNAL is right, but the text tells the caller about your archive: {details!r}")
    if not details:
        raise NotYet(f"{what} INTERNAL is right, but there is no text at all.")
    if any(record.exc_info and isinstance(record.exc_info[1], ConnectionError) for record in records):
        return
    if records:
        raise NotYet(f"{what} The caller's part is right, and something was logged, but without the traceback.")
    raise NotYet(f"{what} The caller's part is right, but no traceback of it came to `logging`.")


class _Closed(TeamsServicer):
    """Ends GetTeam with the status that is set, or without details."""

    def __init__(self) -> None:
        super().__init__()
        self.status: grpc.Status | None = None

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        if self.status is None:
            context.abort(grpc.StatusCode.UNAVAILABLE, "closed")
        context.abort_with_status(self.status)


def _status(code: grpc.StatusCode, *details: Message) -> grpc.Status:
    status = status_pb2.Status(code=code.value[0], message="the check ends this call")
    for detail in details:
        status.details.add().Pack(detail)
    packed: grpc.Status = rpc_status.to_status(status)
    return packed


@exercise(
    "09.3",
    title="How long should I wait?",
    stub='''
    def retry_after(call):
        """Return the seconds to wait, or None."""
        ...
    ''',
    solution="""
    def retry_after(call):
        status = rpc_status.from_call(call)
        for packed in status.details if status else ():
            info = RetryInfo()
            if packed.Unpack(info):
                return info.retry_delay.ToTimedelta().total_seconds()
        return None
    """,
    why="Details come in any order and any type, so every one is tried; a Duration has seconds and nanos.",
    hints=(
        "`rpc_status.from_call(call)` gives the status, or None. What does `for` do with None?",
        "`packed.Unpack(info := RetryInfo())` is True for the one that you look for.",
        "`retry_delay` is a Duration. Its `seconds` are only the whole ones: `ToTimedelta()` takes all.",
    ),
)
def _(answer: Any) -> None:
    closed = _Closed()
    stub = teams_pb2_grpc.TeamsStub(connect(serve(closed).address))
    unavailable = grpc.StatusCode.UNAVAILABLE
    info = error_details_pb2.ErrorInfo(reason="REPAIR", domain="teams.example.com")
    three = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=3))
    half = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=500_000_000))
    zero = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration())
    unheard = teams_pb2.TeamResponse(city="a type of details that only the service knows")
    cases: dict[str, tuple[grpc.Status | None, float | None]] = {
        "an error with a RetryInfo of 3 seconds": (_status(unavailable, three), 3.0),
        "an error with a RetryInfo of half a second": (_status(unavailable, half), 0.5),
        "an error with a RetryInfo of 0 seconds": (_status(unavailable, zero), 0.0),
        "an error with an ErrorInfo, and then a RetryInfo of 3 seconds": (_status(unavailable, info, three), 3.0),
        "an error with details of another type, and then half a second": (_status(unavailable, unheard, half), 0.5),
        "an error with an ErrorInfo only": (_status(unavailable, info), None),
        "an error without details": (None, None),
    }
    for what, (status, expected) in cases.items():
        closed.status = status
        call = stub.GetTeam.future(teams_pb2.TeamRequest(city="Chicago"), timeout=2)
        call.code()
        try:
            got = called(answer, call)
        except (AttributeError, TypeError) as error:
            if status is None:
                raise NotYet(f"I called retry_after with {what}. Expected None, but it raised {error!r}.") from None
            raise
        expect_equal(call=f"retry_after with {what}", expected=expected, got=got)


class _Edge(TeamsServicer):
    """Lets the learner's function look at each game before it is counted."""

    def __init__(self, require_valid: Any) -> None:
        super().__init__()
        self.require_valid = require_valid

    def ReportGames(self, request_iterator: Any, context: grpc.ServicerContext) -> teams_pb2.SeasonSummary:
        for game in request_iterator:
            called(self.require_valid, game, context)
        return teams_pb2.SeasonSummary(accepted=1)


GAMES: Final = {
    "a good game": (("Chicago", "Boston", 21, 14), ()),
    "a game of 0 to 999": (("Chicago", "Boston", 0, 999), ()),
    "a game without a home city": (("", "Boston", 21, 14), ("home_city",)),
    "a game of Chicago against Chicago": (("Chicago", "Chicago", 21, 14), ("away_city",)),
    "a home score of -3": (("Chicago", "Boston", -3, 14), ("home_score",)),
    "an away score of 1000": (("Chicago", "Boston", 21, 1000), ("away_score",)),
    "a game with four faults": (("", "", -1, 1000), ("away_city", "away_score", "home_city", "home_score")),
}
"""By what it is: the four fields of a game, and those that are at fault."""


@exercise(
    "09.4",
    title="Check a game at the edge",
    stub='''
    def require_valid_game(game, context):
        """End the call if something is wrong with the game."""
        ...
    ''',
    solution="""
    def game_faults(game):
        for field in ("home_city", "away_city"):
            if not getattr(game, field):
                yield {"field": field, "description": "must not be empty"}
        if game.home_city and game.home_city == game.away_city:
            yield {"field": "away_city", "description": "must differ from home_city"}
        for field in ("home_score", "away_score"):
            if not 0 <= getattr(game, field) <= 999:
                yield {"field": field, "description": "must be from 0 to 999"}


    def require_valid_game(game, context):
        if faults := list(game_faults(game)):
            details = BadRequest(field_violations=faults)
            words = f"faults in the game: {len(faults)}"
            context.abort_with_status(rich(grpc.StatusCode.INVALID_ARGUMENT, words, details))
    """,
    why="The rules yield every fault before anything is decided, and the call ends once, with all of them.",
    hints=(
        "First collect the faults, as `faults_of` does: dicts with `field` and `description`.",
        "If there are any, make a `BadRequest(field_violations=…)`, pack it with `rich`, and abort with that.",
    ),
)
def _(answer: Any) -> None:
    server = serve(_Edge(answer))
    stub = teams_pb2_grpc.TeamsStub(connect(server.address))
    for what, ((home, away, home_score, away_score), expected) in GAMES.items():
        game = teams_pb2.GameResult(home_city=home, away_city=away, home_score=home_score, away_score=away_score)
        call = stub.ReportGames.future(iter([game]), timeout=2)
        _judge_game(f"I reported {what}.", call, expected)


def _judge_game(what: str, call: Any, expected: tuple[str, ...]) -> None:
    code, details = call.code(), call.details()
    if code is grpc.StatusCode.UNKNOWN:
        raise NotYet(f"{what} Your function raised: {details.partition(': ')[2]}")
    if not expected:
        if code is not grpc.StatusCode.OK:
            raise NotYet(f"{what} Expected that it passes, but the call ended with {code.name}: {details}")
        return
    if code is grpc.StatusCode.OK:
        raise NotYet(f"{what} Expected INVALID_ARGUMENT, but it passed.")
    if code is not grpc.StatusCode.INVALID_ARGUMENT:
        raise NotYet(f"{what} Expected INVALID_ARGUMENT, but the call ended with {code.name}: {details}")
    status = rpc_status.from_call(call)
    bad_request = error_details_pb2.BadRequest()
    if status is None or not any(packed.Unpack(bad_request) for packed in status.details):
        raise NotYet(f"{what} INVALID_ARGUMENT is right, but there is no BadRequest among the details.")
    got = tuple(sorted({violation.field for violation in bad_request.field_violations}))
    if got != expected:
        raise NotYet(f"{what} Expected violations of {', '.join(expected)}, but got {', '.join(got) or 'none'}.")
    if not all(violation.description for violation in bad_request.field_violations):
        raise NotYet(f"{what} The fields are right, but a violation has no description.")
