"""The league: data and rules, without gRPC."""

import threading

from teams_lib.league import Game, League, LeagueError, Record, SameTeamError, ScoreError, Team, UnknownTeamError

import pytest


def test_the_course_league_has_its_ten_teams_in_order() -> None:
    assert [f"{team.city} {team.nickname}" for team in League()] == [
        "Chicago Jackals",
        "Detroit Wheels",
        "Minneapolis Nordics",
        "New York Metros",
        "Arizona Roadrunners",
        "San Francisco Stingers",
        "Seattle Orcas",
        "Los Angeles Pumas",
        "Philadelphia Foxes",
        "Boston Revolutionaries",
    ]


def test_a_team_is_found_by_its_city_to_the_letter() -> None:
    league = League()
    assert league.find("Boston") == Team("Boston", "Revolutionaries")
    assert league.find("boston") is None
    assert league.find("") is None


@pytest.mark.parametrize(
    ("prefix", "cities"),
    [("S", ["San Francisco", "Seattle"]), ("Se", ["Seattle"]), ("s", []), ("Seattle Orcas", [])],
)
def test_a_search_gives_the_cities_that_start_with_the_prefix(prefix: str, cities: list[str]) -> None:
    assert [team.city for team in League().search(prefix)] == cities


def test_an_empty_prefix_gives_every_team() -> None:
    assert len(list(League().search(""))) == len(League()) == 10


def test_a_league_can_have_other_teams() -> None:
    league = League({"Miami": "Waves"})
    assert list(league) == [Team("Miami", "Waves")]
    assert league.standings() == [Record("Miami")]


def test_a_game_counts_for_both_teams() -> None:
    league = League()
    league.record(Game("Boston", "Chicago", 21, 14))
    league.record(Game("Chicago", "Boston", 7, 7))
    by_city = {record.city: record for record in league.standings()}
    assert by_city["Boston"] == Record("Boston", wins=1, draws=1, losses=0, scored=28, conceded=21)
    assert by_city["Chicago"] == Record("Chicago", wins=0, draws=1, losses=1, scored=21, conceded=28)
    assert by_city["Seattle"] == Record("Seattle")


def test_the_standings_rank_by_wins_then_draws_then_difference_then_points_then_name() -> None:
    league = League(dict.fromkeys("ABCDEF", ""))
    for game in [Game("A", "B", 1, 0), Game("C", "D", 3, 0), Game("E", "F", 2, 2)]:
        league.record(game)
    assert [record.city for record in league.standings()] == ["C", "A", "E", "F", "B", "D"]


@pytest.mark.parametrize(
    ("game", "error", "message"),
    [
        (Game("Miami", "Boston", 1, 0), UnknownTeamError, "'Miami' is not a member"),
        (Game("Boston", "", 1, 0), UnknownTeamError, "'' is not a member"),
        (Game("Boston", "Boston", 1, 0), SameTeamError, "'Boston' cannot play against itself"),
        (Game("Boston", "Chicago", -1, 0), ScoreError, "a score of -1 is not between 0 and 999"),
        (Game("Boston", "Chicago", 0, 1000), ScoreError, "a score of 1000 is not between 0 and 999"),
    ],
)
def test_a_game_that_cannot_be_is_refused_and_counts_for_nobody(
    game: Game, error: type[LeagueError], message: str
) -> None:
    league = League()
    with pytest.raises(error) as caught:
        league.record(game)
    assert str(caught.value) == message
    assert isinstance(caught.value, LeagueError)
    assert all(record == Record(record.city) for record in league.standings())


def test_listeners_hear_every_game_in_order_until_they_stop() -> None:
    league, heard = League(), list[int]()
    stop = league.listen(lambda game: heard.append(game.home_score))
    league.record(Game("Boston", "Chicago", 1, 0))
    league.record(Game("Boston", "Chicago", 2, 0))
    stop()
    stop()
    league.record(Game("Boston", "Chicago", 3, 0))
    assert heard == [1, 2]


def test_no_game_is_lost_when_many_threads_report_at_once() -> None:
    league, heard = League(), list[Game]()
    league.listen(heard.append)
    start = threading.Barrier(8)

    def report() -> None:
        start.wait()
        for _ in range(200):
            league.record(Game("Boston", "Chicago", 1, 0))

    threads = [threading.Thread(target=report) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert league.standings()[0] == Record("Boston", wins=1600, scored=1600)
    assert len(heard) == 1600
