"""The league: which teams there are, which games were played, who leads. No gRPC in here.

LeagueError                a game that the league does not accept
├── UnknownTeamError       a city that has no team in this league
├── SameTeamError          a team against itself
└── ScoreError             a score that no game can have
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

TEAMS: Final[dict[str, str]] = {
    "Chicago": "Jackals",
    "Detroit": "Wheels",
    "Minneapolis": "Nordics",
    "New York": "Metros",
    "Arizona": "Roadrunners",
    "San Francisco": "Stingers",
    "Seattle": "Orcas",
    "Los Angeles": "Pumas",
    "Philadelphia": "Foxes",
    "Boston": "Revolutionaries",
}
"""The teams of the course's league: nickname by city."""

MAX_SCORE: Final = 999
"""The highest score that the league believes."""


class LeagueError(ValueError):
    """A game that the league does not accept; ``str(error)`` says why."""


class UnknownTeamError(LeagueError):
    """A city that has no team in this league."""


class SameTeamError(LeagueError):
    """A team that is said to have played against itself."""


class ScoreError(LeagueError):
    """A score below 0 or above `MAX_SCORE`."""


@dataclass(frozen=True, slots=True)
class Team:
    """A member of the league."""

    city: str
    nickname: str


@dataclass(frozen=True, slots=True)
class Game:
    """The result of one game."""

    home_city: str
    away_city: str
    home_score: int
    away_score: int


@dataclass(frozen=True, slots=True)
class Record:
    """What a team has done so far."""

    city: str
    wins: int = 0
    draws: int = 0
    losses: int = 0
    scored: int = 0
    conceded: int = 0

    def after(self, scored: int, conceded: int) -> "Record":
        """The record after one more game."""
        return Record(
            self.city,
            self.wins + (scored > conceded),
            self.draws + (scored == conceded),
            self.losses + (scored < conceded),
            self.scored + scored,
            self.conceded + conceded,
        )


class League:
    """Teams and their games, safe to use from many threads.

    Args:
        teams: nickname by city; the course's ten teams if not given.

    Example:
        >>> league = League()
        >>> league.find("Seattle")
        Team(city='Seattle', nickname='Orcas')
        >>> league.record(Game("Seattle", "Boston", 21, 14))
        >>> league.standings()[0]
        Record(city='Seattle', wins=1, draws=0, losses=0, scored=21, conceded=14)
    """

    def __init__(self, teams: dict[str, str] | None = None) -> None:
        self._teams = {city: Team(city, nickname) for city, nickname in (TEAMS if teams is None else teams).items()}
        self._records = {city: Record(city) for city in self._teams}
        self._listeners: dict[object, Callable[[Game], None]] = {}
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._teams)

    def __iter__(self) -> Iterator[Team]:
        return iter(self._teams.values())

    def find(self, city: str) -> Team | None:
        """The team of a city, or None if that city has none. Upper and lower case differ."""
        return self._teams.get(city)

    def search(self, prefix: str = "") -> Iterable[Team]:
        """The teams whose city starts with a prefix, in the league's order; every team for ``""``."""
        return (team for city, team in self._teams.items() if city.startswith(prefix))

    def record(self, game: Game) -> None:
        """Count a game, and tell those who listen.

        Args:
            game: the result; both cities must be members, scores from 0 to `MAX_SCORE`.

        Raises:
            UnknownTeamError: a city is not a member.
            SameTeamError: home and away are the same city.
            ScoreError: a score is below 0 or above `MAX_SCORE`.
        """
        for city in (game.home_city, game.away_city):
            if city not in self._teams:
                raise UnknownTeamError(f"{city!r} is not a member")
        if game.home_city == game.away_city:
            raise SameTeamError(f"{game.home_city!r} cannot play against itself")
        for score in (game.home_score, game.away_score):
            if not 0 <= score <= MAX_SCORE:
                raise ScoreError(f"a score of {score} is not between 0 and {MAX_SCORE}")
        with self._lock:
            home, away = self._records[game.home_city], self._records[game.away_city]
            self._records[home.city] = home.after(game.home_score, game.away_score)
            self._records[away.city] = away.after(game.away_score, game.home_score)
            # Inside the lock, so that every listener hears the games in the order in which they were counted.
            for listener in list(self._listeners.values()):
                listener(game)

    def standings(self) -> list[Record]:
        """Every team's record, best first: by wins, draws, score difference, points scored, then by name."""
        with self._lock:
            records = list(self._records.values())
        return sorted(records, key=lambda r: (-r.wins, -r.draws, r.conceded - r.scored, -r.scored, r.city))

    def listen(self, listener: Callable[[Game], None]) -> Callable[[], None]:
        """Call ``listener(game)`` for every game counted from now on.

        Args:
            listener: called in the thread that records the game, one game at a time; it must return at once.

        Returns:
            A function without arguments that ends the listening; calling it twice does no harm.
        """
        key = object()
        with self._lock:
            self._listeners[key] = listener

        def stop() -> None:
            with self._lock:
                self._listeners.pop(key, None)

        return stop
