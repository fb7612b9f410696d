"""Wrong answers to the exercises of notebook 04."""

WRONG = {
    "04.1": [
        (
            """
def patient(stub, city, seconds):
    return stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=seconds).nickname
""",
            "started the server 0.2 seconds later. It ended with UNAVAILABLE",
        ),
        (
            """
def patient(stub, city, seconds):
    return stub.GetTeam(teams_pb2.TeamRequest(city=city), wait_for_ready=True).nickname
""",
            "The call that it made has no deadline",
        ),
        (
            """
def patient(stub, city, seconds):
    return stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=30, wait_for_ready=True).nickname
""",
            "patient(stub, 'Chicago', 2). The call that it made may take longer than that",
        ),
        (
            """
def patient(stub, city, seconds):
    return stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=2, wait_for_ready=True).nickname
""",
            "patient(stub, 'Chicago', 0.2). The call that it made may take longer than that",
        ),
        (
            """
def patient(stub, city, seconds):
    return stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=seconds, wait_for_ready=True)
""",
            "Expected 'Jackals', but got city:",
        ),
        (
            """
def patient(stub, city, seconds):
    return stub.GetTeam(city, timeout=seconds, wait_for_ready=True).nickname
""",
            "It ended with INTERNAL: Exception serializing request!",
        ),
        (
            """
def patient(stub, city, seconds):
    while True:
        try:
            return stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=seconds).nickname
        except grpc.RpcError:
            time.sleep(0.02)
""",
            "made a second call, and one can do all the waiting",
        ),
        (
            """
def patient(stub, city, seconds):
    while True:
        try:
            return stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=seconds, wait_for_ready=True).nickname
        except grpc.RpcError:
            pass
""",
            "It made a second call",
        ),
        (
            """
def patient(stub, city, seconds):
    try:
        return stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=seconds, wait_for_ready=True).nickname
    except grpc.RpcError:
        return "too late"
""",
            "no server came. Expected the error, but got 'too late'",
        ),
    ],
    "04.2": [
        (
            """
def nicknames(stub, cities):
    requests = [teams_pb2.TeamRequest(city=city) for city in cities]
    return [stub.GetTeam.future(request, timeout=2).result().nickname for request in requests]
""",
            "never had all three calls at once",
        ),
        (
            """
import queue


def nicknames(stub, cities):
    ended = queue.SimpleQueue()
    for city in cities:
        call = stub.GetTeam.future(teams_pb2.TeamRequest(city=city), timeout=2)
        call.add_done_callback(ended.put)
    return [ended.get(timeout=2).result().nickname for _ in cities]
""",
            "but got ['Orcas', 'Revolutionaries', 'Jackals']",
        ),
        (
            """
def nicknames(stub, cities):
    calls = [stub.GetTeam.future(teams_pb2.TeamRequest(city=city)) for city in cities]
    return [call.result().nickname for call in calls]
""",
            "the call has no deadline",
        ),
    ],
    "04.3": [
        (
            """
def describe(ask):
    try:
        return ask().nickname
    except grpc.RpcError as error:
        if error.code() == "UNAVAILABLE":
            return "try again later"
        if error.code() == "DEADLINE_EXCEEDED":
            return "too slow"
        return error.details()
""",
            "ends UNAVAILABLE. Expected 'try again later', but got 'the details of UNAVAILABLE'",
        ),
        (
            """
def describe(ask):
    try:
        return ask().nickname
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            return "try again later"
        if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            return "too slow"
        return error.details()
""",
            "ends UNIMPLEMENTED. Expected the error to pass, but got 'the details of UNIMPLEMENTED'",
        ),
        (
            """
def describe(ask):
    return ask().nickname
""",
            "Expected 'try again later', but the error came through",
        ),
    ],
    "04.4": [
        (
            """
class TeamsClient:
    def __init__(self, address):
        self.address = address

    def nickname(self, city):
        with grpc.insecure_channel(self.address) as channel:
            request = teams_pb2.TeamRequest(city=city)
            nickname = teams_pb2_grpc.TeamsStub(channel).GetTeam(request, timeout=2).nickname
        if nickname == "not a member":
            raise LookupError(city)
        return nickname

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass
""",
            "They came over",
        ),
        (
            """
class TeamsClient:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.stub = teams_pb2_grpc.TeamsStub(self.channel)

    def nickname(self, city):
        return self.stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=2).nickname

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.channel.close()
""",
            "client.nickname('Miami'). Expected a LookupError, but got 'not a member'",
        ),
        (
            """
class TeamsClient:
    def __init__(self, address):
        self.stub = teams_pb2_grpc.TeamsStub(grpc.insecure_channel(address))

    def nickname(self, city):
        nickname = self.stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=2).nickname
        if nickname == "not a member":
            raise LookupError(city)
        return nickname

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass
""",
            "It still works: I got 'Jackals'",
        ),
        (
            """
class TeamsClient:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)

    def nickname(self, city):
        return teams_pb2_grpc.TeamsStub(self.channel).GetTeam(teams_pb2.TeamRequest(city=city), timeout=2).nickname

    def __enter__(self):
        self.channel.__enter__()

    def __exit__(self, *error):
        self.channel.close()
""",
            "Expected a client, but got None",
        ),
        (
            """
class TeamsClient:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.stub = teams_pb2_grpc.TeamsStub(self.channel)

    def nickname(self, city):
        nickname = self.stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=2).nickname
        if nickname == "not a member":
            raise LookupError(city)
        return nickname

    def __enter__(self):
        return self

    def __exit__(self):
        self.channel.close()
""",
            "I called __exit__ with 3 arguments, and it does not take that",
        ),
        (
            """
class TeamsClient:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.stub = teams_pb2_grpc.TeamsStub(self.channel)

    def nickname(self, city):
        nickname = self.stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=2).nickname
        if nickname == "not a member":
            raise LookupError(city)
        return nickname

    def __enter__(self):
        return self
""",
            "A `with` block needs __exit__: I found none",
        ),
        (
            """
class TeamsClient:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.stub = teams_pb2_grpc.TeamsStub(self.channel)

    def nickname(city):
        nickname = stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=2).nickname
        if nickname == "not a member":
            raise LookupError(city)
        return nickname

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.channel.close()
""",
            "Your code raised TypeError: TeamsClient.nickname() takes 1 positional argument",
        ),
        (
            """
class TeamsClient:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.stub = teams_pb2_grpc.TeamsStub(self.channel)

    def nickname(self, city):
        nickname = self.stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=2).nickname
        if nickname == "not a member":
            raise LookupError(city)
        return nickname

    def __enter__(self):
        return TeamsClient

    def __exit__(self, *error):
        self.channel.close()
""",
            "Expected a client, but got <class",
        ),
        (
            """
class TeamsClient:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.stub = teams_pb2_grpc.TeamsStub(self.channel)

    def nickname(self, city):
        nickname = self.stub.GetTeam(teams_pb2.TeamRequest(city=city), timeout=2).nickname
        if nickname == "not a member":
            raise LookupError(city)
        return nickname

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.channel.close()
        return True
""",
            "It got lost, because `__exit__` returned True",
        ),
    ],
}
