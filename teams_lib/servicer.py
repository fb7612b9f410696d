"""TeamsServicer: the four methods of the Teams service over a League. No server in here."""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from teams_lib import teams_pb2, teams_pb2_grpc
from teams_lib.league import Game, League, LeagueError, Team

import grpc

MAX_PREFIX: Final = 64
"""The longest city_prefix that ListTeams accepts, in characters."""

MAX_REJECTIONS: Final = 100
"""How many rejected games a SeasonSummary explains; the others are only counted."""

MAX_PENDING: Final = 1_000
"""How many updates may wait for a follower that reads too slowly."""


class TeamsServicer(teams_pb2_grpc.TeamsServicer):
    """Answers the calls of the Teams service.

    Args:
        league: the league to serve; a new one with the course's ten teams if not given.

    Example:
        >>> from concurrent import futures
        >>> server = grpc.server(futures.ThreadPoolExecutor())
        >>> teams_pb2_grpc.add_TeamsServicer_to_server(TeamsServicer(), server)
    """

    def __init__(self, league: League | None = None) -> None:
        self.league = League() if league is None else league

    def GetTeam(self, request: teams_pb2.TeamRequest, context: grpc.ServicerContext) -> teams_pb2.TeamResponse:
        """The nickname of a city's team, or "not a member"."""
        team = self.league.find(request.city)
        return _response(team or Team(request.city, "not a member"))

    def ListTeams(
        self, request: teams_pb2.ListTeamsRequest, context: grpc.ServicerContext
    ) -> Iterator[teams_pb2.TeamResponse]:
        """The teams whose city starts with a prefix, one message each.

        Status: INVALID_ARGUMENT if the prefix is longer than `MAX_PREFIX` characters.
        """
        length = len(request.city_prefix)
        if length > MAX_PREFIX:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"city_prefix has {length} characters; at most {MAX_PREFIX} are accepted",
            )
        for team in self.league.search(request.city_prefix):
            # gRPC ends a generator only at its yield; one that works long before it has to look.
            if not context.is_active():
                return
            yield _response(team)

    def ReportGames(
        self, request_iterator: Iterator[teams_pb2.GameResult], context: grpc.ServicerContext
    ) -> teams_pb2.SeasonSummary:
        """Count the games of the stream, and answer with the standings when it ends.

        A game that the league does not accept is named in the summary and stops nothing. Games that this
        handler had read when the client cancelled, or when its deadline passed, stay counted.
        """
        summary = teams_pb2.SeasonSummary()
        # When the client gives up, the iterator raises, and gRPC ends the handler. Or it ends as if the stream were
        # complete (https://github.com/grpc/grpc/issues/33038): then nobody gets this answer, which does no harm.
        for position, result in enumerate(request_iterator):
            try:
                self.league.record(Game(result.home_city, result.away_city, result.home_score, result.away_score))
                summary.accepted += 1
            except LeagueError as error:
                summary.rejected += 1
                if len(summary.rejections) < MAX_REJECTIONS:
                    summary.rejections.add(position=position, reason=str(error))
        for record in self.league.standings():
            summary.standings.add(
                city=record.city,
                wins=record.wins,
                draws=record.draws,
                losses=record.losses,
                scored=record.scored,
                conceded=record.conceded,
            )
        return summary

    def FollowTeams(
        self, request_iterator: Iterator[teams_pb2.FollowRequest], context: grpc.ServicerContext
    ) -> Iterator[teams_pb2.ScoreUpdate]:
        """Push the games of the teams that the client follows, while it goes on following and unfollowing.

        Each request is answered by the list of teams followed from then on; games come whenever they are recorded. When
        the client has no more requests (half-close), it gets what is still due, and the call ends.

        Status: INVALID_ARGUMENT if a request has no action; RESOURCE_EXHAUSTED, behind the updates that wait, if the
        client reads so slowly that these are `MAX_PENDING`. One that reads nothing holds its worker until its deadline.
        """
        follower = _Follower(self.league)
        # The request stream is read in a thread of its own, because this one has to wait for updates meanwhile.
        threading.Thread(target=follower.read, args=(request_iterator,), name="FollowTeams reader", daemon=True).start()
        stop_listening = self.league.listen(follower.on_game)
        try:
            # Cancelled, past its deadline, or the server stops: wake up the loop below, so that its thread is free.
            if context.add_callback(follower.end):
                yield from follower.updates(context)
        finally:
            stop_listening()


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: grpc.StatusCode
    details: str


class _Follower:
    """One FollowTeams call: what its client follows, and the updates that wait to be sent to it."""

    def __init__(self, league: League) -> None:
        self._league = league
        self._following: set[str] = set()
        self._lock = threading.Lock()  # an answer and the games after it go out in that order
        self._outbox: queue.SimpleQueue[teams_pb2.ScoreUpdate | _Refusal | None] = queue.SimpleQueue()

    def read(self, requests: Iterator[teams_pb2.FollowRequest]) -> None:
        """Answer the requests, in a thread of its own, until the client has no more."""
        try:
            for request in requests:
                if request.action == teams_pb2.FollowRequest.ACTION_UNSPECIFIED:
                    self._outbox.put(
                        _Refusal(
                            grpc.StatusCode.INVALID_ARGUMENT, "a FollowRequest needs an action: FOLLOW or UNFOLLOW"
                        )
                    )
                    return
                if not self._change(request):
                    return
        except grpc.RpcError:
            pass  # the call is over; the callback of the context has ended the updates
        finally:
            self.end()

    def _change(self, request: teams_pb2.FollowRequest) -> bool:
        problem = ""
        with self._lock:
            if request.action == teams_pb2.FollowRequest.UNFOLLOW:
                if request.city not in self._following:
                    problem = f"{request.city!r} is not followed"
                self._following.discard(request.city)
            elif self._league.find(request.city) is None:
                problem = f"{request.city!r} is not a member"
            else:
                self._following.add(request.city)
            answer = teams_pb2.Following(cities=sorted(self._following), problem=problem)
            return self._send(teams_pb2.ScoreUpdate(following=answer))

    def _send(self, update: teams_pb2.ScoreUpdate) -> bool:
        """Queue an update, or end the queue. With the lock held: the order is that of what happened."""
        if self._outbox.qsize() < MAX_PENDING:
            self._outbox.put(update)
            return True
        # Waiting here would make one slow follower hold up the whole league.
        self._following.clear()
        self._outbox.put(_Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_PENDING} updates wait: read them faster"))
        return False

    def on_game(self, game: Game) -> None:
        """Queue a game if one of its teams is followed. Called in the thread of whoever reports the game."""
        with self._lock:
            if self._following.isdisjoint((game.home_city, game.away_city)):
                return
            result = teams_pb2.GameResult(
                home_city=game.home_city,
                away_city=game.away_city,
                home_score=game.home_score,
                away_score=game.away_score,
            )
            self._send(teams_pb2.ScoreUpdate(game=result))

    def end(self) -> None:
        """Let `updates` end once it has sent what is queued."""
        self._outbox.put(None)

    def updates(self, context: grpc.ServicerContext) -> Iterator[teams_pb2.ScoreUpdate]:
        """What is to be sent, as it comes."""
        while (update := self._outbox.get()) is not None and context.is_active():
            if isinstance(update, _Refusal):
                context.abort(update.code, update.details)
            else:
                yield update


def _response(team: Team) -> teams_pb2.TeamResponse:
    return teams_pb2.TeamResponse(city=team.city, nickname=team.nickname)
