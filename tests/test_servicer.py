"""TeamsServicer, called through a real server and channel."""

import queue
from collections.abc import Iterator
from unittest.mock import Mock

from teams_lib import BackgroundServer, Game, League, TeamsServicer, teams_pb2, teams_pb2_grpc
from teams_lib.servicer import MAX_PENDING, MAX_PREFIX, MAX_REJECTIONS, _Follower

import grpc
import pytest

FOLLOW, UNFOLLOW = teams_pb2.FollowRequest.FOLLOW, teams_pb2.FollowRequest.UNFOLLOW


@pytest.fixture
def league() -> League:
    return League()


@pytest.fixture
def server(league: League) -> Iterator[BackgroundServer]:
    with BackgroundServer(TeamsServicer(league)) as server:
        yield server


@pytest.fixture
def stub(server: BackgroundServer) -> Iterator[teams_pb2_grpc.TeamsStub]:
    with grpc.insecure_channel(server.address) as channel:
        yield teams_pb2_grpc.TeamsStub(channel)


class TestGetTeam:
    @pytest.mark.parametrize("team", list(League()), ids=lambda team: team.city)
    def test_a_member_has_its_nickname(self, stub: teams_pb2_grpc.TeamsStub, team: teams_pb2.TeamResponse) -> None:
        answer = stub.GetTeam(teams_pb2.TeamRequest(city=team.city), timeout=5)
        assert answer == teams_pb2.TeamResponse(city=team.city, nickname=team.nickname)

    @pytest.mark.parametrize("city", ["Miami", "boston", "", " Boston", "Zürich"])
    def test_any_other_city_is_not_a_member(self, stub: teams_pb2_grpc.TeamsStub, city: str) -> None:
        answer = stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=5)
        assert answer == teams_pb2.TeamResponse(city=city, nickname="not a member")


class TestListTeams:
    def test_without_a_prefix_it_streams_the_whole_league_in_order(self, stub: teams_pb2_grpc.TeamsStub) -> None:
        answers = list(stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5))
        assert [(answer.city, answer.nickname) for answer in answers] == [(t.city, t.nickname) for t in League()]

    def test_a_prefix_selects(self, stub: teams_pb2_grpc.TeamsStub) -> None:
        answers = stub.ListTeams(teams_pb2.ListTeamsRequest(city_prefix="S"), timeout=5)
        assert [answer.city for answer in answers] == ["San Francisco", "Seattle"]

    def test_a_prefix_without_a_team_gives_an_empty_stream(self, stub: teams_pb2_grpc.TeamsStub) -> None:
        assert list(stub.ListTeams(teams_pb2.ListTeamsRequest(city_prefix="X" * MAX_PREFIX), timeout=5)) == []

    def test_a_prefix_longer_than_any_city_is_an_invalid_argument(self, stub: teams_pb2_grpc.TeamsStub) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.ListTeams(teams_pb2.ListTeamsRequest(city_prefix="X" * (MAX_PREFIX + 1)), timeout=5))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == "city_prefix has 65 characters; at most 64 are accepted"

    def test_the_handler_ends_when_the_client_cancels(self, server: BackgroundServer) -> None:
        many = League({f"City {number}": "Nickname" for number in range(100_000)})
        with BackgroundServer(TeamsServicer(many)) as big, grpc.insecure_channel(big.address) as channel:
            call = teams_pb2_grpc.TeamsStub(channel).ListTeams(teams_pb2.ListTeamsRequest(), timeout=30)
            next(call)
            call.cancel()
            assert [entry.status for entry in big.wait_for_calls(1)] == [grpc.StatusCode.CANCELLED]


class TestReportGames:
    def test_the_answer_is_the_standings_of_the_whole_league(self, stub: teams_pb2_grpc.TeamsStub) -> None:
        summary = stub.ReportGames(iter([_result("Boston", "Chicago", 21, 14)]), timeout=5)
        assert (summary.accepted, summary.rejected, len(summary.standings)) == (1, 0, 10)
        assert summary.standings[0] == teams_pb2.Standing(city="Boston", wins=1, scored=21, conceded=14)
        assert summary.standings[-1] == teams_pb2.Standing(city="Chicago", losses=1, scored=14, conceded=21)

    def test_a_stream_without_games_is_answered_too(self, stub: teams_pb2_grpc.TeamsStub) -> None:
        summary = stub.ReportGames(iter([]), timeout=5)
        assert (summary.accepted, summary.rejected, len(summary.standings)) == (0, 0, 10)

    def test_invalid_games_are_answered_one_by_one_and_the_others_count(self, stub: teams_pb2_grpc.TeamsStub) -> None:
        games = [
            _result("Miami", "Boston", 1, 0),
            _result("Boston", "Chicago", 1, 0),
            _result("Boston", "Boston", 1, 0),
            _result("Boston", "Seattle", -7, 0),
        ]
        summary = stub.ReportGames(iter(games), timeout=5)
        assert (summary.accepted, summary.rejected) == (1, 3)
        assert [(rejected.position, rejected.reason) for rejected in summary.rejections] == [
            (0, "'Miami' is not a member"),
            (2, "'Boston' cannot play against itself"),
            (3, "a score of -7 is not between 0 and 999"),
        ]

    def test_rejections_beyond_the_limit_are_counted_and_no_longer_explained(
        self, stub: teams_pb2_grpc.TeamsStub
    ) -> None:
        summary = stub.ReportGames((_result("Miami", "Boston", 1, 0) for _ in range(MAX_REJECTIONS + 5)), timeout=5)
        assert summary.rejected == MAX_REJECTIONS + 5
        assert len(summary.rejections) == MAX_REJECTIONS

    def test_games_reported_before_the_client_gives_up_stay_counted(
        self, league: League, server: BackgroundServer, stub: teams_pb2_grpc.TeamsStub
    ) -> None:
        counted, games = _heard(league), queue.SimpleQueue[teams_pb2.GameResult | None]()
        call = stub.ReportGames.future(iter(games.get, None), timeout=30)
        games.put(_result("Boston", "Chicago", 1, 0))
        counted.get(timeout=5)
        call.cancel()
        games.put(None)
        server.wait_for_calls(1)
        assert league.standings()[0].city == "Boston"


class TestFollowTeams:
    def test_following_and_unfollowing_is_answered_by_the_list(self, stub: teams_pb2_grpc.TeamsStub) -> None:
        requests = [(FOLLOW, "Seattle"), (FOLLOW, "Boston"), (FOLLOW, "Boston"), (UNFOLLOW, "Seattle")]
        updates = stub.FollowTeams((_follow(*request) for request in requests), timeout=5)
        assert [list(update.following.cities) for update in updates] == [
            ["Seattle"],
            ["Boston", "Seattle"],
            ["Boston", "Seattle"],
            ["Boston"],
        ]

    def test_a_request_that_changes_nothing_says_why_and_the_call_goes_on(self, stub: teams_pb2_grpc.TeamsStub) -> None:
        requests = [(FOLLOW, "Miami"), (UNFOLLOW, "Boston"), (FOLLOW, "Boston")]
        updates = list(stub.FollowTeams((_follow(*request) for request in requests), timeout=5))
        assert [update.following.problem for update in updates] == [
            "'Miami' is not a member",
            "'Boston' is not followed",
            "",
        ]

    def test_games_come_without_being_asked_for_while_the_client_still_may_ask(
        self, league: League, stub: teams_pb2_grpc.TeamsStub
    ) -> None:
        requests = queue.SimpleQueue[teams_pb2.FollowRequest | None]()
        updates = stub.FollowTeams(iter(requests.get, None), timeout=30)
        requests.put(_follow(FOLLOW, "Boston"))
        next(updates)
        league.record(Game("Seattle", "Detroit", 1, 0))
        league.record(Game("Chicago", "Boston", 7, 21))
        assert next(updates).game == _result("Chicago", "Boston", 7, 21)
        requests.put(_follow(UNFOLLOW, "Boston"))
        next(updates)
        league.record(Game("Chicago", "Boston", 0, 0))
        requests.put(None)
        assert list(updates) == []

    def test_after_half_close_what_is_due_is_sent_and_the_call_ends(
        self, league: League, stub: teams_pb2_grpc.TeamsStub
    ) -> None:
        requests = queue.SimpleQueue[teams_pb2.FollowRequest | None]()
        updates = stub.FollowTeams(iter(requests.get, None), timeout=30)
        requests.put(_follow(FOLLOW, "Boston"))
        next(updates)
        for score in range(50):
            league.record(Game("Boston", "Chicago", score, 0))
        requests.put(None)
        assert [update.game.home_score for update in updates] == list(range(50))
        assert updates.code() == grpc.StatusCode.OK

    def test_a_request_without_an_action_ends_the_call(self, stub: teams_pb2_grpc.TeamsStub) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.FollowTeams(iter([teams_pb2.FollowRequest(city="Boston")]), timeout=5))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == "a FollowRequest needs an action: FOLLOW or UNFOLLOW"

    def test_a_follower_that_never_reads_is_dropped_and_holds_up_nobody(
        self, league: League, stub: teams_pb2_grpc.TeamsStub
    ) -> None:
        requests = queue.SimpleQueue[teams_pb2.FollowRequest | None]()
        updates = stub.FollowTeams(iter(requests.get, None), timeout=30)
        requests.put(_follow(FOLLOW, "Boston"))
        next(updates)
        # Some updates leave at once, into the buffers of the connection: so many more than MAX_PENDING.
        for _ in range(20 * MAX_PENDING):
            league.record(Game("Boston", "Chicago", 1, 0))
        with pytest.raises(grpc.RpcError) as caught:
            for _ in updates:
                pass
        requests.put(None)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert caught.value.details() == "1000 updates wait: read them faster"

    def test_a_follower_that_asks_and_asks_and_never_reads_is_dropped_too(self) -> None:
        follower, read = _Follower(League()), list[teams_pb2.ScoreUpdate]()
        requests = iter([_follow(FOLLOW, "Boston")] * (5 * MAX_PENDING))
        follower.read(requests)  # while nobody takes the answers
        context = Mock(abort=Mock(side_effect=RuntimeError))
        with pytest.raises(RuntimeError):
            read.extend(follower.updates(context))
        assert len(read) == MAX_PENDING
        context.abort.assert_called_once_with(
            grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_PENDING} updates wait: read them faster"
        )
        assert len(list(requests)) > 3 * MAX_PENDING, "it went on reading requests"

    @pytest.mark.parametrize("way", ["cancel", "deadline"])
    def test_a_follower_that_leaves_frees_its_worker(self, way: str) -> None:
        with (
            BackgroundServer(TeamsServicer(), max_workers=1) as server,
            grpc.insecure_channel(server.address) as channel,
        ):
            stub = teams_pb2_grpc.TeamsStub(channel)
            requests = queue.SimpleQueue[teams_pb2.FollowRequest | None]()
            requests.put(_follow(FOLLOW, "Boston"))
            updates = stub.FollowTeams(iter(requests.get, None), timeout=30 if way == "cancel" else 0.3)
            next(updates)
            if way == "cancel":
                updates.cancel()
            # The only worker is free again: this call would wait for ever otherwise.
            assert stub.GetTeam(teams_pb2.TeamRequest(city="Boston"), timeout=10).nickname == "Revolutionaries"
            requests.put(None)

    def test_a_follower_that_left_no_longer_listens_to_the_league(self) -> None:
        league = League()
        with BackgroundServer(TeamsServicer(league)) as server, grpc.insecure_channel(server.address) as channel:
            list(teams_pb2_grpc.TeamsStub(channel).FollowTeams(iter([_follow(FOLLOW, "Boston")]), timeout=5))
            assert league._listeners == {}


def _result(home: str, away: str, home_score: int, away_score: int) -> teams_pb2.GameResult:
    return teams_pb2.GameResult(home_city=home, away_city=away, home_score=home_score, away_score=away_score)


def _follow(action: teams_pb2.FollowRequest.Action.ValueType, city: str) -> teams_pb2.FollowRequest:
    return teams_pb2.FollowRequest(action=action, city=city)


def _heard(league: League) -> queue.SimpleQueue[Game]:
    heard = queue.SimpleQueue[Game]()
    league.listen(heard.put)
    return heard
