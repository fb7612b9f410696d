"""Wrong answers to the exercises of notebook 14."""

from teams_lib.exercises import find
from tests.wrong_answers import spoilt

SLOPPY_ID = (
    "class AddId(ClientInterceptor):\n"
    "    def intercept(self, method, request, details):\n"
    "        metadata = details.metadata or []\n"
    '        metadata.append(("x-request-id", uuid4().hex))\n'
    "        return method(request, details._replace(metadata=metadata))"
)

WRONG = {
    "14.1": [
        (
            spoilt(
                "14.1",
                (
                    "return grpc.insecure_channel(target, options=options)",
                    "with grpc.insecure_channel(target, options=options) as channel:\n        return channel",
                ),
            ),
            "A stub got a channel that is closed",
        ),
        (
            spoilt("14.1", ("max_receive_message_length", "max_message_length")),
            "It ended with RESOURCE_EXHAUSTED · CLIENT: Received message larger than max (8000005 vs. 4194304)",
        ),
        (
            spoilt("14.1", ("20_000_000", "2_000_000")),
            "CLIENT: Received message larger than max (8000005 vs. 2000000)",
        ),
        (spoilt("14.1", ("20_000_000", "-1")), "So does one of 21 million"),
        (
            spoilt("14.1", ("return grpc.insecure_channel(target, options=options)", "return options")),
            "Expected a channel, but got [('grpc.max_receive",
        ),
    ],
    "14.2": [
        (
            "def teams_of(target, request):\n"
            "    with grpc.insecure_channel(target) as channel:\n"
            "        return iter(teams_pb2_grpc.TeamsStub(channel).ListTeams(request))",
            "the loop got CANCELLED · Channel closed!",
        ),
        (
            spoilt(
                "14.2",
                (
                    "with grpc.insecure_channel(target) as channel:",
                    "channel = teams_of.kept = grpc.insecure_channel(target)\n    if channel:",
                ),
            ),
            "the connection is still open",
        ),
        (
            "def teams_of(target, request):\n"
            "    channel = grpc.insecure_channel(target)\n"
            "    yield from teams_pb2_grpc.TeamsStub(channel).ListTeams(request, timeout=5)",
            "The cities are right, but the connection is still open",
        ),
        (
            spoilt(
                "14.2",
                (
                    "yield from teams_pb2_grpc.TeamsStub(channel).ListTeams(request, timeout=5)",
                    "yield next(teams_pb2_grpc.TeamsStub(channel).ListTeams(request))",
                ),
            ),
            "Expected ['San Francisco', 'Seattle'], but got ['San Francisco']",
        ),
    ],
    "14.3": [
        (SLOPPY_ID, "Call 2 passed the same list of metadata, as the calls before it. It arrived with 2 ids"),
        (
            spoilt("14.3", ("[*(details.metadata or ()), ", "[*details.metadata, ")),
            "TypeError",
        ),
        (
            spoilt("14.3", ("details._replace(metadata=metadata)", "details")),
            "It arrived with 0 ids",
        ),
        (
            spoilt("14.3", ("*(details.metadata or ()), ", "")),
            "What the caller had passed did not arrive",
        ),
        (
            spoilt("14.3", ("uuid4().hex", '"the id"')),
            "It arrived with the id of another call",
        ),
        (
            spoilt("14.3", ("metadata=metadata)", "metadata=metadata, timeout=None)")),
            "Its timeout=3 did not arrive",
        ),
    ],
    "14.4": [
        (
            find("14.4").stub.replace("self.city = request.city", "self.city = str(request.city)"),
            "Both answers were for one and the same city",
        ),
        (
            "class CityServicer(TeamsServicer):\n"
            "    def GetTeam(self, request, context):\n"
            "        team = self.league.find(request.city)\n"
            "        self.city = request.city\n"
            '        nickname = team.nickname if team else "not a member"\n'
            "        return teams_pb2.TeamResponse(city=self.city, nickname=nickname)",
            "Both answers were for one and the same city",
        ),
        (
            spoilt(
                "14.4",
                ("team = self.league.find(request.city)", "self.team = self.league.find(request.city)"),
                ("team.nickname if team", "self.team.nickname if self.team"),
            ),
            "The nicknames were not those of Chicago and Boston",
        ),
        (
            "class CityServicer(TeamsServicer):\n"
            "    lock = threading.Lock()\n\n"
            "    def GetTeam(self, request, context):\n"
            "        with self.lock:\n"
            "            self.city = request.city\n"
            "            team = self.league.find(self.city)\n"
            '            nickname = team.nickname if team else "not a member"\n'
            "            return teams_pb2.TeamResponse(city=self.city, nickname=nickname)",
            "one call had to wait until the other was done",
        ),
        (
            spoilt("14.4", ("nickname = team.nickname if team", "self.team = team\n        nickname = team if team")),
            "Its details: Exception calling application: bad argument type",
        ),
        (
            spoilt("14.4", ('"not a member"', '"unknown"')),
            "I called GetTeam for Atlantis. Expected 'not a member', but got 'unknown'",
        ),
    ],
    "14.5": [
        (
            "def report(stub, games):\n    call = stub.ReportGames.future(iter(games))\n    return len(games)",
            "the server has not counted them all",
        ),
        (
            "def report(stub, games):\n    stub.ReportGames(iter(games), timeout=5)\n    return len(games)",
            "I called report(stub, games) with 2 games. Expected 1, but got 2",
        ),
        (
            "def report(stub, games):\n    return stub.ReportGames(iter(games), timeout=5)",
            "with 1000 games. Expected 1000, but got the whole summary",
        ),
        (
            "def report(stub, games):\n    stub.ReportGames(iter(games), timeout=5)",
            "with 1000 games. Expected 1000, but got None",
        ),
    ],
    "14.6": [
        (
            spoilt("14.6", ('"retryPolicy"', '"RetryPolicy"')),
            "Expected 4 attempts, but it got 1, and the caller UNAVAILABLE · warming up",
        ),
        (
            spoilt("14.6", ('"Teams"', '"teams.Teams"')),
            "Expected 4 attempts, but it got 1",
        ),
        (
            spoilt("14.6", ('"maxAttempts": 4', '"maxAttempts": 2')),
            "Expected 4 attempts, but it got 2",
        ),
        (
            spoilt("14.6", ('"maxAttempts": 4', '"maxAttempts": 5')),
            "refuses the first 9 calls. Expected 4 attempts, but it got 5",
        ),
        (
            spoilt("14.6", ('"0.01s"', "0.01")),
            "it got 0, and the caller INVALID_ARGUMENT · errors validating service config",
        ),
    ],
    "14.7": [
        (
            find("14.7").stub.replace("timeout=context.time_remaining()", "timeout=5"),
            "Half a second went by, and the handler still waits: DEADLINE_EXCEEDED",
        ),
        (
            find("14.7").stub.replace("timeout=context.time_remaining()", "timeout=0.1"),
            "The handler made a call that nobody answered: DEADLINE_EXCEEDED",
        ),
        (
            spoilt(
                "14.7",
                (
                    'request = teams_pb2.TeamRequest(city="Chicago")',
                    'return teams_pb2.TeamResponse(city="Chicago", nickname="Jackals")',
                ),
            ),
            "after Chicago's team was renamed. Expected 'Gulls', but got 'Jackals'",
        ),
        (
            spoilt("14.7", ('request = teams_pb2.TeamRequest(city="Chicago")', "pass")),
            "I called GetTeam for Windy City. Expected 'Jackals', but got 'not a member'",
        ),
        (
            find("14.7")
            .stub.replace("return super().GetTeam(request, context)", "return self.GetTeam(request, context)")
            .replace("return self.stub.GetTeam(request, timeout=context.time_remaining())", "pass"),
            "It ended with UNKNOWN · Exception calling application: maximum recursion depth exceeded",
        ),
    ],
    "14.8": [
        (
            find("14.8").stub.replace("self.stub =", "self.target, self.stub = target,"),
            "It raised RuntimeError: … attached to a different loop",
        ),
        (
            "class TeamsClient:\n"
            "    def __init__(self, target):\n"
            "        self.target, self.stub = target, None\n\n"
            "    def nickname(self, city):\n"
            "        return asyncio.run(self.ask(city))\n\n"
            "    async def ask(self, city):\n"
            "        if self.stub is None:\n"
            "            channel = grpc.aio.insecure_channel(self.target)\n"
            "            self.stub = teams_pb2_grpc.TeamsStub(channel)\n"
            "        request = teams_pb2.TeamRequest(city=city)\n"
            "        return (await self.stub.GetTeam(request, timeout=5)).nickname",
            "I called TeamsClient(target).nickname('Boston'). It raised RuntimeError: ",
        ),
        (
            spoilt("14.8", ("return asyncio.run(self.ask(city))", "return self.ask(city)")),
            "Expected 'Jackals', but got a coroutine",
        ),
        (
            spoilt("14.8", ("async def ask", "def ask"), ("async with", "with"), ("await ", "")),
            "RuntimeError: … There is no current event loop",
        ),
    ],
}
