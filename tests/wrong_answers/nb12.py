"""Wrong answers to the exercises of notebook 12."""

from tests.wrong_answers import spoilt

WRONG = {
    "12.1": [
        (
            "async def nicknames(stub, cities):\n"
            "    calls = [stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=2) for city in cities]\n"
            "    return [response.nickname for response in await asyncio.gather(*calls)]",
            "Its error came, but the call for Chicago was left running",
        ),
        (
            "async def nicknames(stub, cities):\n"
            "    answers = []\n"
            "    for city in cities:\n"
            "        call = asyncio.create_task(ask(stub, city, timeout=2))\n"
            "        answers.append(await call)\n"
            "    return answers",
            "the server never had all calls at once",
        ),
        (
            spoilt("12.1", (", timeout=2", "")),
            "a call has no deadline",
        ),
        (
            spoilt("12.1", ("[task.result() for task in tasks]", "sorted(task.result() for task in tasks)")),
            "Expected ['Jackals', 'Revolutionaries', 'Orcas'], but got ['Jackals', 'Orcas', 'Revolutionaries']",
        ),
        (
            "def nicknames(stub, cities):\n    return [ask(stub, city, timeout=2) for city in cities]",
            "which can't be awaited. Define it with `async def`",
        ),
        (
            "async def nicknames(stub, cities):\n"
            "    try:\n"
            "        async with asyncio.TaskGroup() as group:\n"
            "            tasks = [group.create_task(ask(stub, city, timeout=2)) for city in cities]\n"
            "    except ExceptionGroup:\n"
            "        return []\n"
            "    return [task.result() for task in tasks]",
            "Expected its error, but got []",
        ),
        (
            "async def nicknames(stub, cities):\n"
            "    calls = [stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=2) for city in cities]\n"
            "    return [(await call).nickname for call in calls]",
            "Its error came, but the call for Chicago was left running",
        ),
        (
            "async def nicknames(stub, cities):\n"
            "    calls = [stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=2) for city in cities]\n"
            "    try:\n"
            "        return [(await call).nickname for call in calls]\n"
            "    finally:\n"
            "        for call in calls:\n"
            "            call.cancel()",
            "['Chicago', 'Boston', 'Atlantis']), with no team in Atlantis. Its call failed at once, but a second later",
        ),
        (
            spoilt("12.1", ("teams_pb2.TeamRequest(city=city)", "TeamRequest(city=city)")),
            "Your code raised NameError: name 'TeamRequest' is not defined",
        ),
    ],
    "12.2": [
        (
            spoilt("12.2", ("await asyncio.to_thread(self.look_up, request.city)", "self.look_up(request.city)")),
            "The look-up ran in the thread of the event loop",
        ),
        (
            spoilt("12.2", ("async with self.two:", "if True:")),
            "and the exercise asks for two",
        ),
        (
            spoilt("12.2", ("Semaphore(2)", "Lock()")),
            "I saw 1 of their look-ups at the same time",
        ),
        (
            spoilt("12.2", ("await context.abort", "context.abort")),
            "Was `abort` run, or only called?",
        ),
        (
            spoilt("12.2", ("await asyncio.to_thread(self.look_up, request.city)", "await self.look_up(request.city)")),
            "can't be used in 'await' expression",
        ),
    ],
    "12.3": [
        (
            "async def first_city(stub, fits):\n"
            "    stream = stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5)\n"
            "    async for team in stream:\n"
            "        if await fits(team.city):\n"
            "            stream.cancel()\n"
            "            return team.city\n"
            "    return None",
            "with a fits that raises an error. The error came, but its call still runs",
        ),
        (
            "async def first_city(stub, fits):\n"
            "    stream = stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5)\n"
            "    async for team in stream:\n"
            "        if await fits(team.city):\n"
            "            break\n"
            "    else:\n"
            "        return None\n"
            "    del stream\n"
            "    return team.city",
            "The city is right, but its call still runs",
        ),
        (
            spoilt("12.3", (", timeout=5", "")),
            "the call had no deadline",
        ),
        (
            "async def first_city(stub, fits):\n"
            "    stream = stub.ListTeams(teams_pb2.ListTeamsRequest(), timeout=5)\n"
            "    try:\n"
            "        async for team in stream:\n"
            "            if await fits(team.city):\n"
            "                stream.cancel()\n"
            "                return team.city\n"
            "    except Exception:\n"
            "        stream.cancel()\n"
            "        raise",
            "cancelled its task while fits was at work. It came back, but its call still runs",
        ),
        (
            spoilt("12.3", ("await fits(team.city)", "fits(team.city)")),
            "Expected 'Boston', but got 'Chicago'",
        ),
    ],
    "12.4": [
        (
            "class PushingServicer(teams_pb2_grpc.TeamsServicer):\n"
            "    def __init__(self, league):\n"
            "        self.league = league\n\n"
            "    async def FollowTeams(self, request_iterator, context):\n"
            "        games, cities = asyncio.Queue(), set()\n"
            "        stop_listening = self.league.listen(games.put_nowait)\n"
            "        async for request in request_iterator:\n"
            "            cities.add(request.city)\n"
            "            following = teams_pb2.Following(cities=[request.city])\n"
            "            yield teams_pb2.ScoreUpdate(following=following)\n"
            "            while not games.empty():\n"
            "                game = games.get_nowait()\n"
            "                result = teams_pb2.GameResult(home_city=game.home_city, away_city=game.away_city)\n"
            "                yield teams_pb2.ScoreUpdate(game=result)\n"
            "        stop_listening()",
            "sent no more requests, and Boston played in Chicago. Half a second later, nothing had come",
        ),
        (
            "class PushingServicer(teams_pb2_grpc.TeamsServicer):\n"
            "    def __init__(self, league):\n"
            "        self.league = league\n\n"
            "    async def FollowTeams(self, request_iterator, context):\n"
            "        games, cities = asyncio.Queue(), set()\n\n"
            "        async def push():\n"
            "            while True:\n"
            "                game = await games.get()\n"
            "                if cities & {game.home_city, game.away_city}:\n"
            "                    result = teams_pb2.GameResult(home_city=game.home_city, away_city=game.away_city)\n"
            "                    await context.write(teams_pb2.ScoreUpdate(game=result))\n\n"
            "        stop_listening = self.league.listen(games.put_nowait)\n"
            "        pusher = asyncio.create_task(push())\n"
            "        try:\n"
            "            async for request in request_iterator:\n"
            "                cities.add(request.city)\n"
            "                following = teams_pb2.Following(cities=[request.city])\n"
            "                await context.write(teams_pb2.ScoreUpdate(following=following))\n"
            "        finally:\n"
            "            stop_listening()\n"
            "            pusher.cancel()",
            "while I read nothing",
        ),
        (
            "class PushingServicer(teams_pb2_grpc.TeamsServicer):\n"
            "    def __init__(self, league):\n"
            "        self.league = league\n\n"
            "    async def FollowTeams(self, request_iterator, context):\n"
            "        games, cities = asyncio.Queue(), set()\n\n"
            "        async def push():\n"
            "            while True:\n"
            "                game = await games.get()\n"
            "                if cities & {game.home_city, game.away_city}:\n"
            "                    result = teams_pb2.GameResult(home_city=game.home_city, away_city=game.away_city)\n"
            "                    await context.write(teams_pb2.ScoreUpdate(game=result))\n\n"
            "        stop_listening = self.league.listen(games.put_nowait)\n"
            "        pusher = asyncio.create_task(push())\n"
            "        try:\n"
            "            async for request in request_iterator:\n"
            "                cities.add(request.city)\n"
            "                following = teams_pb2.Following(cities=[request.city])\n"
            "                await context.write(teams_pb2.ScoreUpdate(following=following))\n"
            "        finally:\n"
            "            stop_listening()",
            "I half-closed the call, and it ended. Half a second later, a task of its handler still runs",
        ),
        (
            spoilt("12.4", ("            stop_listening()\n", "")),
            "I half-closed the call, and it ended. Half a second later, its handler still listens to the league",
        ),
        (
            spoilt(
                "12.4",
                ("        try:\n            while", "        if True:\n            while"),
                ("        finally:\n", "        if True:\n"),
            ),
            "Half a second later, its handler still listens to the league",
        ),
        (
            spoilt("12.4", ("            outbox.put_nowait(None)\n", "")),
            "I half-closed the call, and waited for its end. Half a second later, nothing had come",
        ),
        (
            spoilt("12.4", (" or game.away_city in cities", "")),
            "Boston played in Chicago, then Chicago in Boston. Half a second later, nothing had come",
        ),
        (
            spoilt("12.4", ("if game.home_city in cities or game.away_city in cities:", "if cities:")),
            "Expected the game of Seattle and Detroit, but got the game of Seattle and Arizona",
        ),
    ],
}
