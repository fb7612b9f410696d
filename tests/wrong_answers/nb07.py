"""Wrong answers to the exercises of notebook 07."""

from tests.wrong_answers import spoilt

_LOOP = "yield from iter(outbox.get, None)\n        "

WRONG = {
    "07.1": [
        (
            """
def followed(stub, cities):
    updates = stub.FollowTeams(map(follow, cities), timeout=5)
    return list(next(updates).following.cities)
""",
            "Expected ['Boston', 'Chicago', 'Seattle'], but got ['Seattle']",
        ),
        (
            """
def followed(stub, cities):
    inbox = queue.SimpleQueue()
    for city in cities:
        inbox.put(follow(city))
    updates = stub.FollowTeams(iter(inbox.get, None), timeout=5)
    answers = [next(updates) for _ in cities]
    return list(answers[-1].following.cities)
""",
            "a thread of gRPC still waits: the requests never end",
        ),
        (
            """
def followed(stub, cities):
    inbox = queue.SimpleQueue()
    for city in cities:
        inbox.put(follow(city))
    last = []
    for update in stub.FollowTeams(iter(inbox.get, None), timeout=5):
        last = list(update.following.cities)
    return last
""",
            "A second later, it still waits: its requests never end",
        ),
        (
            """
def followed(stub, cities):
    for update in stub.FollowTeams(map(follow, cities), timeout=5):
        pass
    return list(update.following.cities)
""",
            "when I called followed(stub, [])",
        ),
        (
            """
def followed(stub, cities):
    *_, last = stub.FollowTeams(map(follow, cities), timeout=5)
    return last.following.cities
""",
            "ValueError",
        ),
        (spoilt("07.1", (", timeout=5", "")), "has no deadline"),
        (
            """
def followed(stub, cities):
    for city in cities:
        for update in stub.FollowTeams(iter([follow(city)]), timeout=5):
            pass
    return sorted(cities)
""",
            "Expected one call of FollowTeams",
        ),
    ],
    "07.2": [
        (
            """
def next_game(stub, city, timeout):
    inbox = queue.SimpleQueue()
    inbox.put(follow(city))
    for update in stub.FollowTeams(iter(inbox.get, None), timeout=timeout):
        if update.WhichOneof("update") == "game":
            return update.game
""",
            "a thread of gRPC still waits",
        ),
        (
            """
def next_game(stub, city, timeout):
    inbox = queue.SimpleQueue()
    inbox.put(follow(city))
    inbox.put(None)
    for update in stub.FollowTeams(iter(inbox.get, None), timeout=timeout):
        if update.WhichOneof("update") == "game":
            return update.game
""",
            "Expected that game, but got None",
        ),
        (
            """
def next_game(stub, city, timeout):
    inbox = queue.SimpleQueue()
    inbox.put(follow(city))
    try:
        for update in stub.FollowTeams(iter(inbox.get, None)):
            if update.WhichOneof("update") == "game":
                return update.game
    finally:
        inbox.put(None)
""",
            "has no deadline",
        ),
        (
            """
def next_game(stub, city, timeout):
    inbox = queue.SimpleQueue()
    inbox.put(follow(city))
    for update in stub.FollowTeams(iter(inbox.get, None), timeout=timeout):
        if update.WhichOneof("update") == "game":
            inbox.put(None)
            return update.game
""",
            "no game was played. A second later, a thread of gRPC still waits",
        ),
        (
            """
def next_game(stub, city, timeout):
    inbox = queue.SimpleQueue()
    inbox.put(follow(city))
    try:
        for update in stub.FollowTeams(iter(inbox.get, None), timeout=timeout):
            if update.HasField("game"):
                return update.game
    except grpc.RpcError:
        return None
    finally:
        inbox.put(None)
""",
            "Expected the error DEADLINE_EXCEEDED to come out, but got the value None",
        ),
    ],
    "07.3": [
        (
            """
class PushingServicer(TeamsServicer):
    def FollowTeams(self, request_iterator, context):
        for request in request_iterator:
            yield answer(request)
""",
            "Expected that game, but nothing came within two seconds",
        ),
        (
            """
class PushingServicer(TeamsServicer):
    def FollowTeams(self, request_iterator, context):
        cities = set()
        games = queue.SimpleQueue()
        stop_listening = self.league.listen(games.put)
        try:
            for request in request_iterator:
                cities.add(request.city)
                yield answer(request)
                while games.qsize():
                    game = games.get()
                    if game.home_city in cities or game.away_city in cities:
                        yield news(game)
        finally:
            stop_listening()
""",
            "Expected that game, but nothing came within two seconds",
        ),
        (spoilt("07.3", ("if game.home_city in cities or game.away_city in cities:", "if True:")), "got Seattle"),
        (spoilt("07.3", ("game.home_city in cities or ", "")), "Expected that game, but nothing came"),
        (
            spoilt("07.3", ("cities = set()", "cities = self.__dict__.setdefault('cities', set())")),
            "In a new call I followed Seattle only",
        ),
        (
            spoilt("07.3", ("finally:\n            stop_listening()", "finally:\n            pass")),
            "half-closed the call, and it ended. A second later, its handler still listens",
        ),
        (
            # It stops after the loop, not in a finally: a handler that stands at a yield never gets there.
            spoilt(
                "07.3", ("try:\n            yield from iter(outbox.get, None)\n        finally:\n            ", _LOOP)
            ),
            "its handler still listens to the league",
        ),
        ("class PushingServicer(TeamsServicer):\n    pass", "inherits the course's"),
        (
            spoilt("07.3", ("args=(request_iterator, outbox, take)", "args=(request_iterator, queue.Queue(), take)")),
            "I followed Chicago. Expected an answer, but nothing came within two seconds",
        ),
        (
            """
class PushingServicer(TeamsServicer):
    def FollowTeams(self, request_iterator, context):
        return answer(request_iterator)
""",
            "I followed Chicago. Expected an answer, but the call ended with",
        ),
    ],
}
