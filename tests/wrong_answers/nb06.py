"""Wrong answers to the exercises of notebook 06."""

from teams_lib.exercises import find
from tests.wrong_answers import spoilt

WRONG = {
    "06.1": [
        (spoilt("06.1", ("iter(games)", "games")), "StatusCode.UNKNOWN in line 2"),
        (spoilt("06.1", ("games[rejection.position]", "rejection.reason")), "Expected GameResults in the list"),
        (spoilt("06.1", ("games[rejection.position]", "rejection")), "but it holds RejectedGame"),
        (spoilt("06.1", ("position]", "position - 1]")), "but got ['Seattle - Seattle', 'Boston - Chicago']"),
        (
            "def rejected(stub, games):\n"
            "    return [g for g in games if stub.ReportGames(iter([g]), timeout=5).rejected]",
            "Expected one call to the server, but 3 came",
        ),
    ],
    "06.2": [
        (
            find("06.2").stub.replace("Upload(requests,", "Upload(iter(requests),"),
            "I uploaded a clip of 5 bytes. All of them came, but the digest",
        ),
        (spoilt("06.2", ("requests(),", "list(requests()),")), "Exception iterating requests!"),
        (spoilt("06.2", ("64_000", "5_000_000")), "Received message larger than max"),
        (spoilt("06.2", ("            digest.update(data)\n", "")), "the digest in the last message isn't theirs"),
        (spoilt("06.2", ("while data :=", "if data :=")), "The server has received 64,000"),
        (
            spoilt("06.2", ("        yield clips_pb2.Part(sha256=digest.digest())\n", "")),
            "The last message had no sha256",
        ),
        (spoilt("06.2", ("requests(),", "reversed(list(requests())),")), "The last message had no sha256"),
        (spoilt("06.2", ("return ", "")), "Expected the receipt back, but got None"),
    ],
    "06.3": [
        (
            "def report(stub, results):\n    return stub.ReportGames(results, timeout=5)",
            "Expected that exception to be raised, but StatusCode.UNKNOWN was",
        ),
        (
            "def report(stub, results):\n    return stub.ReportGames(iter(list(results)), timeout=5)",
            "send as you go",
        ),
        (spoilt("06.3", ("            raise\n", "            pass\n")), "but it returned accepted:"),
        (
            spoilt(
                "06.3",
                ("failures = []", "failure = None"),
                ("as failure:\n            failures.append(failure)", "as error:\n            failure = error"),
                ("if failures:\n            raise failures[0]", "if failure:\n            raise failure"),
            ),
            "StatusCode.UNKNOWN was. If your inner function keeps it in a variable of report, is that one `nonlocal`?",
        ),
        # Raises what it should, but tells the server that half a season is whole.
        (
            "def report(stub, results):\n"
            "    failures = []\n"
            "    def watched():\n"
            "        try:\n"
            "            yield from results\n"
            "        except Exception as failure:\n"
            "            failures.append(failure)\n"
            "    summary = stub.ReportGames(watched(), timeout=5)\n"
            "    if failures:\n"
            "        raise failures[0]\n"
            "    return summary",
            "the call had ended with OK: the server takes half a season for a whole one",
        ),
        (
            spoilt(
                "06.3",
                ("        if failures:\n            raise failures[0]\n        raise", "        raise failures[0]"),
            ),
            "while the server is down. Expected a grpc.RpcError to be raised, but IndexError",
        ),
    ],
}
