"""Wrong answers to the exercises of notebook 05."""

from teams_lib.exercises import find
from tests.wrong_answers import spoilt

WRONG = {
    "05.1": [
        (
            "def first_cities(stub, count):\n"
            "    cities = []\n"
            "    for team in stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5):\n"
            "        if len(cities) == count:\n"
            "            break\n"
            "        cities.append(team.city)\n"
            "    return cities",
            "asked for more than 3 teams",
        ),
        (
            "def first_cities(stub, count):\n"
            "    teams = list(stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5))\n"
            "    return [team.city for team in teams[:count]]",
            "asked for more than 3 teams",
        ),
        (
            "kept = []\n\n\n"
            "def first_cities(stub, count):\n"
            "    kept.append(stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5))\n"
            "    return [team.city for team, _ in zip(kept[-1], range(count - 1), strict=False)]",
            "Expected ['Chicago', 'Detroit', 'Minneapolis'], but got ['Chicago', 'Detroit']",
        ),
        (
            "kept = []\n\n\n"
            "def first_cities(stub, count):\n"
            "    kept.append(stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5))\n"
            "    return [next(kept[-1]).city for _ in range(count)]",
            "the call still runs",
        ),
        (
            "def first_cities(stub, count):\n"
            "    stream = stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5)\n"
            "    cities = [next(stream).city for _ in range(count)]\n"
            "    stream.cancel()\n"
            "    return cities",
            "I called first_cities(stub, 50) on a league of ten. A `next` found no more teams",
        ),
        (
            "from itertools import islice\n\n\n"
            "def first_cities(stub, count):\n"
            "    teams = islice(stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5), count)\n"
            "    return [team.city for team in teams]",
            "kept a reference to its call, as a debugger would. The cities are right, but the call still runs",
        ),
        (
            spoilt("05.1", (", timeout=5", "")),
            "the call had no timeout=",
        ),
    ],
    "05.2": [
        (
            spoilt("05.2", ("return cities, error.code()", "return [], error.code()")),
            "Expected (['Chicago', 'Detroit', 'Minneapolis', 'New York'], <StatusCode.DATA_LOSS",
        ),
        (
            "def cities_and_status(stub):\n"
            "    stream = stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5)\n"
            "    return [team.city for team in stream], stream.code()",
            "It raised the error instead of returning what had arrived",
        ),
        (
            spoilt("05.2", ("return cities, error.code()", "pass")),
            "but got (['Chicago', 'Detroit', 'Minneapolis', 'New York'], <StatusCode.OK",
        ),
        (
            "def cities_and_status(stub):\n"
            "    stream = stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5)\n"
            "    code = stream.code()\n"
            "    return [team.city for team in stream], code",
            "`code()` waits for the end of the stream",
        ),
        (
            "def cities_and_status(stub):\n"
            "    cities = []\n"
            "    stream = stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5)\n"
            "    code = stream.code()\n"
            "    try:\n"
            "        for team in stream:\n"
            "            cities.append(team.city)\n"
            "    except grpc.RpcError:\n"
            "        pass\n"
            "    return cities, code",
            "`code()` waits for the end of the stream",
        ),
    ],
    "05.3": [
        (
            spoilt("05.3", ("                    if not context.is_active():\n                        return\n", "")),
            "The handler went on for",
        ),
        (
            spoilt("05.3", ("                        return\n", "                        break\n")),
            "Then the handler yielded Chicago, which it had not found",
        ),
        (
            find("05.3").stub.replace(
                "            self.step()",
                "            if not context.is_active():\n                    return\n                self.step()",
            ),
            "The client left during a search. Then `searching` is 1",
        ),
        (
            find("05.3").stub.replace(
                "            self.step()",
                "            if not context.is_active():\n"
                "                    self.searching -= 1\n"
                "                    return\n"
                "                self.step()",
            ),
            "The client left when the first team was found. Then `searching` is 1",
        ),
        (
            spoilt("05.3", ("if not context.is_active()", "if context.is_active()")),
            "Expected ['Chicago', 'Detroit', 'Seattle'], but got []",
        ),
    ],
    "05.4": [
        (
            spoilt("05.4", ("if not page.next_page_token:", "if len(page.teams) < page_size:")),
            "It stopped after a page with 1 of 3 teams, but the token of that page is 'c?': there is more",
        ),
        (
            spoilt("05.4", ("if not page.next_page_token:", "if not page.teams:")),
            "It stopped after a page with no teams, but the token of that page is 'd/9': there is more",
        ),
        (
            spoilt("05.4", ("yield from page.teams", "yield from [team.city for team in page.teams]")),
            "Expected Team messages, but it yields 'City 0'",
        ),
        (
            "def every_team(stub, page_size):\n"
            "    request = big_league_pb2.PageRequest(page_size=page_size)\n"
            "    while True:\n"
            "        try:\n"
            "            page = stub.ListPage(request, timeout=2)\n"
            "        except grpc.RpcError as error:\n"
            "            if error.code() == grpc.StatusCode.UNAVAILABLE:\n"
            "                continue\n"
            "            raise\n"
            "        yield from page.teams\n"
            "        if not page.next_page_token:\n"
            "            return\n"
            "        request.page_token = page.next_page_token",
            "always answers UNAVAILABLE, and counted its calls. Expected 2, but got",
        ),
        (
            spoilt("05.4", ("    while True:", "    teams = []\n    while True:"))
            .replace("yield from page.teams", "teams += page.teams")
            .replace("            return\n        request", "            return teams\n        request"),
            "has asked for 5 pages already",
        ),
        (
            "def every_team(stub, page_size):\n"
            "    teams, request = [], big_league_pb2.PageRequest(page_size=page_size)\n"
            "    while True:\n"
            "        page = stub.ListPage(request, timeout=2)\n"
            "        teams += page.teams\n"
            "        request.page_token = page.next_page_token\n"
            "        if not page.next_page_token:\n"
            "            return teams",
            "ask for it once more",
        ),
        (
            spoilt("05.4", ("return stub.ListPage(request, timeout=2)", "return stub.ListPage(request)")),
            "a call had no deadline",
        ),
        (
            spoilt("05.4", ("        if error.code() != grpc.StatusCode.UNAVAILABLE:\n            raise\n", "")),
            "always answers PERMISSION_DENIED, and counted its calls. Expected 1, but got 2",
        ),
        (
            spoilt("05.4", ("            raise\n", "            return big_league_pb2.Page()\n")),
            "it got lost",
        ),
        (
            "def every_team(stub, page_size):\n"
            "    request = big_league_pb2.PageRequest(page_size=page_size)\n"
            "    while (page := stub.ListPage(request, timeout=2)).next_page_token:\n"
            "        yield from page.teams\n"
            "        request.page_token = page.next_page_token\n"
            "    yield from page.teams",
            "A page failed with UNAVAILABLE",
        ),
    ],
}
