"""Wrong answers to the exercises of notebook 09."""

from tests.wrong_answers import spoilt

WRONG = {
    "09.1": [
        (
            spoilt("09.1", ("grpc.StatusCode.FAILED_PRECONDITION", "grpc.StatusCode.INVALID_ARGUMENT")),
            "you chose INVALID_ARGUMENT. It tells the caller that the request is wrong on any day",
        ),
        (
            spoilt("09.1", ("grpc.StatusCode.ABORTED", "grpc.StatusCode.ALREADY_EXISTS")),
            "somebody else changed the game after you read it' you chose ALREADY_EXISTS",
        ),
        (
            spoilt("09.1", ("grpc.StatusCode.PERMISSION_DENIED", "grpc.StatusCode.UNAUTHENTICATED")),
            "you chose UNAUTHENTICATED. It tells the caller that the server does not know who is calling",
        ),
        (
            spoilt("09.1", ("grpc.StatusCode.UNAVAILABLE", "14")),
            "I expected a member of grpc.StatusCode, but got 14",
        ),
        (
            spoilt("09.1", ("grpc.StatusCode.UNAVAILABLE", "...")),
            "Right so far. Still without a code: 1 of 7",
        ),
        (
            'codes = {"no team": grpc.StatusCode.NOT_FOUND}',
            "the seven situations as they stood there",
        ),
    ],
    "09.2": [
        (
            spoilt(
                "09.2", ('"the archive failed")\n        if', 'f"the archive failed: {self.find}")\n        if')
            ).replace("except Exception:", "except ValueError:"),
            "Expected INTERNAL, but got UNKNOWN",
        ),
        (
            spoilt("09.2", ("except Exception:", "except Exception as error:")).replace(
                'INTERNAL, "the archive failed"', "INTERNAL, str(error)"
            ),
            "the text tells the caller about your archive",
        ),
        (
            spoilt("09.2", ('            logging.exception("the archive failed")\n', "")),
            "no traceback of it came to `logging`",
        ),
        (
            spoilt("09.2", ('logging.exception("the archive failed")', 'logging.error("the archive failed")')),
            "something was logged, but without the traceback",
        ),
        (
            spoilt("09.2", ('f"no team in {request.city}"', '"no such team"')),
            "its text does not name the city",
        ),
        (
            spoilt("09.2", ("NOT_FOUND", "INTERNAL")),
            "Atlantis, which has no team. Expected NOT_FOUND, but got INTERNAL",
        ),
        (
            "class ArchiveServicer(teams_pb2_grpc.TeamsServicer):\n"
            "    def __init__(self, find):\n"
            "        self.find = find\n\n"
            "    def GetTeam(self, request, context):\n"
            "        try:\n"
            "            nickname = self.find(request.city)\n"
            "            if nickname is None:\n"
            '                context.abort(grpc.StatusCode.NOT_FOUND, f"no team in {request.city}")\n'
            "            return teams_pb2.TeamResponse(city=request.city, nickname=nickname)\n"
            "        except Exception:\n"
            '            logging.exception("the archive failed")\n'
            '            context.abort(grpc.StatusCode.INTERNAL, "the archive failed")',
            "Atlantis, which has no team. Expected NOT_FOUND, but got INTERNAL",
        ),
    ],
    "09.3": [
        (
            spoilt("09.3", (".ToTimedelta().total_seconds()", ".seconds")),
            "a RetryInfo of half a second. Expected 0.5, but got 0",
        ),
        (
            "def retry_after(call):\n"
            "    info = RetryInfo()\n"
            "    rpc_status.from_call(call).details[0].Unpack(info)\n"
            "    return info.retry_delay.ToTimedelta().total_seconds()",
            "an ErrorInfo, and then a RetryInfo of 3 seconds. Expected 3.0, but got 0.0",
        ),
        (
            spoilt("09.3", ("status.details if status else ()", "status.details")),
            "an error without details. Expected None, but it raised",
        ),
        (
            spoilt("09.3", ("    return None", "    return 0.0")),
            "an error with an ErrorInfo only. Expected None, but got 0.0",
        ),
        (
            spoilt("09.3", (".total_seconds()", ".total_seconds() or None")),
            "a RetryInfo of 0 seconds. Expected 0.0, but got None",
        ),
        (
            spoilt("09.3", ("        info = RetryInfo()\n", ""))
            .replace("    for packed", "    info = RetryInfo()\n    for packed")
            .replace(
                "        if packed.Unpack(info):\n            return", "        packed.Unpack(info)\n        return"
            ),
            "an ErrorInfo, and then a RetryInfo of 3 seconds. Expected 3.0, but got 0.0",
        ),
    ],
    "09.4": [
        (
            spoilt("09.4", ("field_violations=faults)", "field_violations=faults[:1])")),
            "a game with four faults. Expected violations of away_city, away_score, home_city, home_score, "
            "but got home_city.",
        ),
        (
            spoilt("09.4", ("context.abort_with_status(rich(", "context.abort(*(")).replace(
                ", words, details))", ", words))"
            ),
            "there is no BadRequest among the details",
        ),
        (
            spoilt("09.4", ("if game.home_city and game.home_city", "if game.home_city and game.home_city.lower")),
            "a game of Chicago against Chicago. Expected INVALID_ARGUMENT, but it passed",
        ),
        (
            spoilt("09.4", ("<= 999:", "< 999:")),
            "a game of 0 to 999. Expected that it passes, but the call ended with INVALID_ARGUMENT",
        ),
        (
            spoilt("09.4", ('"description": "must be from 0 to 999"', '"description": ""')),
            "a violation has no description",
        ),
        (
            "def require_valid_game(game, context):\n"
            "    if not game.home_city:\n"
            '        raise ValueError("home_city must not be empty")',
            "Your function raised: home_city must not be empty",
        ),
        (
            spoilt("09.4", ("grpc.StatusCode.INVALID_ARGUMENT", "grpc.StatusCode.FAILED_PRECONDITION")),
            "Expected INVALID_ARGUMENT, but the call ended with FAILED_PRECONDITION",
        ),
    ],
}
