"""Start here."""

from teams_lib.exercises import NotYet, exercise
from teams_lib.league import TEAMS


@exercise(
    "00.1",
    title="Ask for Minneapolis",
    stub="nickname = ...",
    solution='nickname = stub.GetTeam(teams_pb2.TeamRequest(city="Minneapolis"), timeout=5).nickname',
    why="The response is a message with two fields; its field nickname is what was asked for.",
    hints=(
        "The loop over three cities has a line with a call in it. You need that line, for one city.",
        "The call gives you a whole response. Print it: which of its fields do you want?",
        "A field is an attribute: response.nickname",
    ),
)
def _(nickname: object) -> None:
    if hasattr(nickname, "nickname"):
        raise NotYet("This is the whole response, with its city and its nickname. Hand in the nickname alone.")
    if nickname == "not a member":
        raise NotYet("The server knows no team in the city that you asked for. Spell it Minneapolis, with a capital M.")
    if nickname in TEAMS.values() and nickname != "Nordics":
        [city] = [city for city, name in TEAMS.items() if name == nickname]
        raise NotYet(f"The {nickname} play in {city}. Which city did you ask for?")
    if nickname != "Nordics":
        raise NotYet(f"The server has another nickname for Minneapolis than {nickname!r}.")
