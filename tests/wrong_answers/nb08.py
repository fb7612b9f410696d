"""Wrong answers to the exercises of notebook 08."""

from tests.wrong_answers import spoilt

WRONG = {
    "08.1": [
        (
            spoilt("08.1", ('"calls_before": 2', '"calls_before": 4')),
            "At offset 8, counted from 0, it has 09, the recording has 05",
        ),
        (spoilt("08.1", ('"ends_its_half": False', '"ends_its_half": True')), "At offset 4, counted from 0, it has 01"),
        (
            spoilt("08.1", ('"home_score": 0, "away_score": 130', '"home_score": 130, "away_score": 0')),
            "At offset 31, counted",
        ),
        (spoilt("08.1", ("130", "33281")), "At offset 32, counted from 0, it has 81"),
        (spoilt("08.1", ("130", "258")), "At offset 33, counted from 0, it has 02, the recording has 01"),
        (spoilt("08.1", ('"Seattle"', '"Boston"')), "At offset 15, counted from 0, it has 06, the recording has 07"),
        (spoilt("08.1", ("130", '"82 01"')), "I tried to make a GameResult of your reading"),
        (spoilt("08.1", ('"home_score": 0', '"home_score": ...')), "Still to be read: home_score"),
        (spoilt("08.1", ('"home_score": 0, ', "")), "I expected a dict with the keys"),
        (spoilt("08.1", ('"calls_before": 2', '"calls_before": None')), "should be a small number"),
        (spoilt("08.1", ('"home_score": 0', '"home_score": None')), "None is not a value of protobuf"),
    ],
    "08.2": [
        (
            spoilt(
                "08.2",
                ('    "1 client DATA",\n    "1 client DATA END_STREAM",\n', '    "1 client DATA END_STREAM",\n'),
            ),
            "The first 2 of your frames agree with the recording. Then you say '1 client DATA END_STREAM'",
        ),
        (
            spoilt(
                "08.2",
                (
                    '    "3 server HEADERS END_STREAM",\n',
                    '    "3 server HEADERS",\n    "3 server HEADERS END_STREAM",\n',
                ),
            ),
            "The first 9 of your frames agree with the recording. Then you say '3 server HEADERS'",
        ),
        (spoilt("08.2", ('"3 ', '"2 ')), "Then you say '2 client HEADERS', and something else came"),
        (
            spoilt("08.2", ('    "3 server HEADERS END_STREAM",\n', "")),
            "The first 9 frames agree with the recording, but more came",
        ),
        (
            spoilt("08.2", ('END_STREAM",\n]', 'END_STREAM",\n    "3 client RST_STREAM",\n]')),
            "The first 10 frames agree with the recording, but nothing came after them",
        ),
        ('prediction = "1 client HEADERS"', "I expected a list of texts"),
        (spoilt("08.2", ("client HEADERS", "client headers")), "I can't read '1 client headers'. The form is stream"),
        (spoilt("08.2", ("DATA END_STREAM", "DATA, END_STREAM")), "I can't read '1 client DATA, END_STREAM'"),
    ],
    "08.3": [
        (
            spoilt("08.3", ("len(talk.connections) == len(talk.calls) > 1", "len(talk.connections) > 1")),
            "where two clients made two calls each. Expected '', but got 'new connections'",
        ),
        (
            spoilt("08.3", (" > 1:", ":")),
            "where one healthy call was all. Expected '', but got 'new connections'",
        ),
        (
            spoilt("08.3", ("talk.calls:", "talk.calls[:1]:")),
            "where ReportGames was answered before its stream ended. Expected 'answered early', but got ''",
        ),
        (
            spoilt("08.3", ("if not ended:", 'if call.end == "RST_STREAM":')),
            "where a complete request was cancelled. Expected '', but got 'no half-close'",
        ),
        (
            spoilt("08.3", ("if not ended:", 'if "client" not in ended:')),
            "Expected 'answered early', but got 'no half-close'",
        ),
        (
            spoilt("08.3", ('ended[0] == "server"', "call.status is not None and call.status.value[0]")),
            "Expected 'answered early', but got ''",
        ),
    ],
    "08.4": [
        (spoilt("08.4", ('("te", "trailers")', "")), "The server reset the call: a header is missing"),
        (spoilt("08.4", ('("content-type", "application/grpc"), ', "")), "the content-type is not one of gRPC's"),
        (spoilt("08.4", ('"/Teams/GetTeam"', '"/GetTeam"')), "The server was asked for the path '/GetTeam'"),
        (spoilt("08.4", ("prefix + message", "message")), "not one message of gRPC: truncated"),
        (spoilt("08.4", ('"big"', '"little"')), "not one message of gRPC: truncated"),
        (spoilt("08.4", (", end_stream=True", "")), "The request has no end"),
        (
            spoilt("08.4", ("events.ResponseReceived | events.TrailersReceived", "events.TrailersReceived")),
            "on a server that refuses. Expected ('', '5'), but got ('', '')",
        ),
        (spoilt("08.4", ("body += event.data", "body = event.data")), "on a server whose answer takes several DATA"),
        (spoilt("08.4", ("(body[5:])", "(body)")), "not a TeamResponse: the body begins with the prefix of gRPC"),
        (
            spoilt(
                "08.4",
                (
                    "body += event.data",
                    "nickname = nickname or teams_pb2.TeamResponse.FromString(event.data[5:]).nickname",
                ),
            ),
            "on a server whose answer takes several DATA frames. What you parse is not a TeamResponse",
        ),
        (spoilt("08.4", ('.get(b"grpc-status", b"")', '["grpc-status"]')), "h2 gives names as bytes"),
        (spoilt("08.4", ('.get(b"grpc-status", b"")', '[b"grpc-status"]')), "not all headers have it"),
        (
            "def raw_get_team(address, city):\n"
            "    with grpc.insecure_channel(address) as channel:\n"
            "        request = teams_pb2.TeamRequest(city=city)\n"
            "        return teams_pb2_grpc.TeamsStub(channel).GetTeam(request, timeout=2).nickname, '0'",
            "It works, but it was gRPC that made the call",
        ),
        (
            spoilt("08.4", ('(":path", "/Teams/GetTeam")', "")),
            "Header block missing mandatory b':path' header",
        ),
    ],
}
