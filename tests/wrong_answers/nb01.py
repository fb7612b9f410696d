"""What learners get wrong in notebook 01."""

WRONG = {
    "01.1": [
        (
            """
def unframe(data):
    size = int.from_bytes(data[:4], "big")
    return [data[4 : 4 + size]], data[4 + size :]
""",
            "but got ([b'Chicago'], b'\\x00\\x00\\x00\\x00",
        ),
        (
            """
def unframe(data):
    messages = []
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        messages.append(data[4:end])
        data = data[end:]
    return messages, data
""",
            "Expected ([b'Chicago'], b'\\x00\\x00'), but got",
        ),
        (
            """
def unframe(data):
    messages = []
    while data:
        messages.append(data[4 : 4 + data[3]])
        data = data[4 + data[3] :]
    return messages
""",
            "Expected a pair",
        ),
        (
            """
def unframe(data):
    messages = []
    while len(data) > 4:
        end = 4 + int.from_bytes(data[:4], "big")
        if len(data) < end:
            break
        messages.append(data[4:end])
        data = data[end:]
    return messages, data
""",
            "Expected ([b'Chicago', b''], b''), but got ([b'Chicago'], b'\\x00\\x00\\x00\\x00')",
        ),
    ],
    "01.2": [
        (
            """
def call_with_id(connection, call_id, method, *args):
    send(connection, json.dumps({"id": call_id, "method": method, "args": args}).encode())
    receive(connection)
    return json.loads(receive(connection))["ok"]
""",
            "No late answer stood before the right one. Your client read that, and went on waiting",
        ),
        (
            """
def call_with_id(connection, call_id, method, *args):
    send(connection, json.dumps({"id": call_id, "method": method, "args": args}).encode())
    reply = json.loads(receive(connection))
    if reply["id"] != call_id:
        reply = json.loads(receive(connection))
    return reply["ok"]
""",
            "3 late answers stood before the right one. Expected 'Revolutionaries' for Boston, but got 'Wheels'",
        ),
        (
            """
def call_with_id(connection, call_id, method, *args):
    reply = {"id": None}
    while reply["id"] != call_id:
        send(connection, json.dumps({"id": call_id, "method": method, "args": args}).encode())
        reply = json.loads(receive(connection))
    return reply["ok"]
""",
            "One late answer stood before the right one. Your client sent 2 requests.",
        ),
        (
            """
def call_with_id(connection, call_id, method, *args):
    return json.loads(receive(connection))["ok"]
""",
            "Your client sent 0 requests.",
        ),
    ],
    "01.3": [
        (
            """
def json_get_team(channel, city):
    return teams_pb2_grpc.TeamsStub(channel).GetTeam(teams_pb2.TeamRequest(city=city), timeout=5).nickname
""",
            "I speak JSON",
        ),
        (
            """
def json_get_team(channel, city):
    method = channel.unary_unary("/Teams/GetTeam", lambda message: json.dumps(message).encode(), json.loads)
    return method({"city": city})["nickname"]
""",
            "the call has no timeout",
        ),
        (
            """
def json_get_team(channel, city):
    method = channel.unary_unary("/Teams/GetTeam", lambda message: json.dumps(message).encode(), json.loads)
    return method({"city": city}, timeout=5)
""",
            "Expected 'Jackals', but got {'city': 'Chicago', 'nickname': 'Jackals'}",
        ),
        (
            """
def json_get_team(channel, city):
    method = channel.unary_unary("/Teams/GetTeam", json.dumps({"city": city}).encode(), json.loads)
    return method({"city": city}, timeout=5)["nickname"]
""",
            "Exception serializing request! Give unary_unary two functions",
        ),
        (
            """
def json_get_team(channel, city):
    method = channel.unary_unary("GetTeam", lambda message: json.dumps(message).encode(), json.loads)
    return method({"city": city}, timeout=5)["nickname"]
""",
            "It asked for the method 'GetTeam', and there is none",
        ),
    ],
}
