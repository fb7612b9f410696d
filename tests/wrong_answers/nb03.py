"""Wrong answers to the exercises of notebook 03."""

import sys

WRONG = {
    "03.1": [
        (
            """
class GreetingServicer(teams_pb2_grpc.TeamsServicer):
    def GetTeam(self, request, context):
        nickname = NICKNAMES.get(request.city, "not a member")
        caller = dict(context.invocation_metadata())["caller"]
        return teams_pb2.TeamResponse(city=request.city, nickname=f"{nickname} for {caller}")
""",
            "'caller'. The text after the last colon is what your handler raised",
        ),
        (
            """
class GreetingServicer(teams_pb2_grpc.TeamsServicer):
    def GetTeam(self, request, context):
        nickname = NICKNAMES[request.city]
        metadata = dict(context.invocation_metadata())
        if "caller" in metadata:
            nickname += f" for {metadata['caller']}"
        return teams_pb2.TeamResponse(city=request.city, nickname=nickname)
""",
            "'Miami'. The text after the last colon is what your handler raised",
        ),
        (
            """
class GreetingServicer(SmallServicer):
    def GetTeam(self, request, context):
        response = super().GetTeam(request, context)
        if context.invocation_metadata().get("caller"):
            response.nickname += " for " + context.invocation_metadata().get("caller")
        return response
""",
            "'tuple' object has no attribute 'get'. The text after",
        ),
        (
            """
class GreetingServicer(teams_pb2_grpc.TeamsServicer):
    def getTeam(self, request, context):
        nickname = NICKNAMES.get(request.city, "not a member")
        return teams_pb2.TeamResponse(city=request.city, nickname=nickname)
""",
            "Is your handler called GetTeam, letter for letter?",
        ),
        (
            """
class GreetingServicer(teams_pb2_grpc.TeamsServicer):
    def GetTeam(self, request, context):
        nickname = NICKNAMES.get(request.city, "not a member")
        return teams_pb2.TeamResponse(city=request.city, nickname=nickname)
""",
            "{'caller': 'ada'}. Expected 'Jackals for ada', but got 'Jackals'",
        ),
        (
            """
class GreetingServicer(teams_pb2_grpc.TeamsServicer):
    def GetTeam(self, request, context):
        caller = context.invocation_metadata()[-1].value
        return f"{NICKNAMES.get(request.city)} for {caller}"
""",
            "Does every `return` of your handler give a TeamResponse",
        ),
    ],
    "03.2": [
        (
            """
def serve_well(servicer, address):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    teams_pb2_grpc.add_TeamsServicer_to_server(servicer, server)
    port = server.add_insecure_port(address)
    server.start()
    return server, port
""",
            "Expected an answer to the second at once",
        ),
        (
            """
def serve_well(servicer, address):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    teams_pb2_grpc.add_TeamsServicer_to_server(servicer, server)
    port = server.add_insecure_port(address)
    server.start()
    return server, port
""",
            "Expected a RuntimeError, but both run",
        ),
        (
            """
def serve_well(servicer, address):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port(address)
    server.start()
    return server, port
""",
            "UNIMPLEMENTED",
        ),
        (
            """
def serve_well(servicer, address):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=[("grpc.so_reuseport", 0)])
    teams_pb2_grpc.add_TeamsServicer_to_server(servicer, server)
    port = server.add_insecure_port(address)
    server.start()
    return port
""",
            "Expected the server and its port",
        ),
        (
            """
def serve_well(servicer, address):
    return serve(servicer, address, workers=4)
""",
            "its port, an int, but got",
        ),
        (
            """
def serve_well(servicer, address):
    pool = futures.ThreadPoolExecutor(max_workers=4)
    server = grpc.server(pool, options=("grpc.so_reuseport", 0))
    teams_pb2_grpc.add_TeamsServicer_to_server(servicer, server)
    port = server.add_insecure_port(address)
    server.start()
    return server, port
""",
            "no list of pairs",
        ),
    ],
    "03.3": [
        (
            """
@contextmanager
def serving(servicer, grace):
    server, address = serve(servicer)
    yield address
    server.stop(grace).wait()
""",
            "by an exception",
        ),
        (
            """
@contextmanager
def serving(servicer, grace):
    server, address = serve(servicer)
    try:
        yield address
    finally:
        server.stop(grace)
""",
            "let out before",
        ),
        (
            """
@contextmanager
def serving(servicer, grace):
    server, address = serve(servicer)
    try:
        yield address
    finally:
        server.stop(None)
""",
            "Expected an answer for that call, but got UNAVAILABLE",
        ),
        (
            """
@contextmanager
def serving(servicer, grace):
    server, address = serve(servicer)
    try:
        yield address
    finally:
        server.stop(5).wait()
""",
            "Expected UNAVAILABLE for that call",
        ),
        (
            """
def serving(servicer, grace):
    server, address = serve(servicer)
    yield address
    server.stop(grace).wait()
""",
            "something for a `with` block",
        ),
    ],
}
if sys.platform == "win32":  # no two servers can share a port: the one that allows it is right
    WRONG["03.2"] = [each for each in WRONG["03.2"] if "both run" not in each[1]]
