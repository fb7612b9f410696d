"""Wrong answers to the exercises of notebook 11."""

from tests.wrong_answers import spoilt

COUNT_BY_HAND = """from collections import Counter


class Quota(ServerInterceptor):
    def __init__(self, limit):
        self.limit = limit
        self.running = Counter()

    def intercept(self, method, request, context, name):
        caller = dict(context.invocation_metadata()).get("caller")
"""
"""A quota that counts without asking the context; what follows is the body of `intercept`."""

WRONG = {
    "11.1": [
        ("def as_metadata(values):\n    return list(values.items())", "The call ended INTERNAL: Invalid metadata"),
        ("def as_metadata(values):\n    return values", "What I got could not be sent"),
        (
            spoilt("11.1", ("key = key.lower()", "pass")),
            "I called as_metadata({'Caller': 'ada'}), and sent what I got",
        ),
        (
            spoilt("11.1", (" and value.isprintable()", "")),
            "I called as_metadata({'note': 'two\\nlines'})",
        ),
        (
            spoilt("11.1", (' and not key.endswith("-bin")', "")),
            'gRPC says: Binary metadata key="note-bin" expected bytes',
        ),
        (
            spoilt("11.1", ('key if key.endswith("-bin") else f"{key}-bin"', 'f"{key}-bin"')),
            "Expected [('digest-bin', b'\\x01')], but got [('digest-bin-bin', b'\\x01')]",
        ),
        (
            spoilt("11.1", ("if value is None:", "if not value:")),
            "sent the result, and looked at what arrived. Expected [('tag', '')], but got []",
        ),
        ("def as_metadata(values):\n    values = dict(values)", "Expected metadata, but got None"),
    ],
    "11.2": [
        (
            "class Door(grpc.ServerInterceptor):\n"
            "    def __init__(self, is_known):\n"
            "        self.is_known = is_known\n\n"
            "    def intercept_service(self, continuation, details):\n"
            "        handler = continuation(details)\n"
            '        if handler is None or self.is_known(dict(details.invocation_metadata).get("caller")):\n'
            "            return handler\n\n"
            "        def refuse(request, context):\n"
            '            context.abort(grpc.StatusCode.PERMISSION_DENIED, "nobody knows you")\n\n'
            "        sides = (handler.request_streaming, handler.response_streaming)\n"
            '        kind = "_".join("stream" if each else "unary" for each in sides)\n'
            '        return getattr(grpc, f"{kind}_rpc_method_handler")(refuse)',
            "While `is_known` thought about bob, ada called. She had to wait",
        ),
        (
            "class Door(grpc.ServerInterceptor):\n"
            "    def __init__(self, is_known):\n"
            "        self.is_known = is_known\n\n"
            "    def intercept_service(self, continuation, details):\n"
            "        handler = continuation(details)\n\n"
            "        def ask_first(request, context):\n"
            '            if not self.is_known(dict(details.invocation_metadata).get("caller")):\n'
            '                context.abort(grpc.StatusCode.PERMISSION_DENIED, "nobody knows you")\n'
            "            return handler.unary_unary(request, context)\n\n"
            "        return grpc.unary_unary_rpc_method_handler(\n"
            "            ask_first, handler.request_deserializer, handler.response_serializer\n"
            "        )",
            "I called ListTeams as ada, who is known. Expected OK, but got UNKNOWN: ",
        ),
        (
            spoilt(
                "11.2", ("context.abort(grpc.StatusCode.PERMISSION_DENIED", "context.abort(grpc.StatusCode.UNKNOWN")
            ),
            "I called GetTeam as eve, who is not known. Expected PERMISSION_DENIED, but got UNKNOWN: nobody knows you",
        ),
        (
            spoilt(
                "11.2",
                ('context.abort(grpc.StatusCode.PERMISSION_DENIED, "nobody knows you")', "return None"),
            ),
            "I called GetTeam as eve, who is not known",
        ),
        (
            spoilt("11.2", ('.get("caller")', '["caller"]')),
            "I called GetTeam as nobody in particular",
        ),
        (
            spoilt(
                "11.2", ("if not self.is_known", "response = method(request, context)\n        if not self.is_known")
            ),
            "She was refused, but the handler has run",
        ),
        (
            spoilt("11.2", ("dict(context.invocation_metadata()).get", "context.invocation_metadata().get")),
            "I called GetTeam as ada, who is known. Expected OK, but got UNKNOWN: Exception calling application",
        ),
    ],
    "11.3": [
        (
            spoilt("11.3", ("dict(context.invocation_metadata()).get", "context.invocation_metadata().get")),
            "Expected OK, but got UNKNOWN: Exception calling application: 'tuple' object has no attribute 'get'",
        ),
        (
            spoilt("11.3", ("class Quota(ServerInterceptor)", "class Quota")),
            "It is no interceptor: keep the base class",
        ),
        (
            COUNT_BY_HAND + "        if self.running[caller] >= self.limit:\n"
            '            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many")\n'
            "        self.running[caller] += 1\n"
            "        try:\n"
            "            return method(request, context)\n"
            "        finally:\n"
            "            self.running[caller] -= 1",
            "I called GetTeam as 'ada' while two of her streams run",
        ),
        (
            COUNT_BY_HAND + "        if self.running[caller] >= self.limit:\n"
            "            self.running[caller] -= 1\n"
            '            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many")\n'
            "        self.running[caller] += 1\n"
            "        context.add_callback(lambda: self.running.subtract([caller]))\n"
            "        return method(request, context)",
            "while two of her streams run, with Quota(2). Expected RESOURCE_EXHAUSTED, but got OK",
        ),
        (
            COUNT_BY_HAND + "        if self.running[caller] >= self.limit:\n"
            '            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many")\n'
            "        self.running[caller] += 1\n"
            "        response = method(request, context)\n"
            "        context.add_callback(lambda: self.running.subtract([caller]))\n"
            "        return response",
            "I called GetTeam as 'bob' for Atlantis, on which the handler breaks",
        ),
        (
            spoilt("11.3", ('.get("caller")', '.get("user-agent")')),
            "I called GetTeam as 'bob' while only 'ada' has two calls running",
        ),
        (
            spoilt("11.3", ("self.running[caller] -= 1", "pass")),
            "I called GetTeam as 'ada' after one of her two streams has ended. Expected OK, but got RESOURCE_EXHAUSTED",
        ),
        (
            spoilt("11.3", ("StatusCode.RESOURCE_EXHAUSTED", "StatusCode.UNAVAILABLE")),
            "Expected RESOURCE_EXHAUSTED, but got UNAVAILABLE",
        ),
    ],
    "11.4": [
        (
            spoilt("11.4", ("if left is not None and left < 100 * 365 * 86_400:", "if left is not None:")),
            "A caller set no deadline, and the handler called on without a timeout.",
        ),
        (
            spoilt(
                "11.4",
                (
                    "def intercept(self, method, request, context, name):",
                    "def intercept_service(self, method, request):",
                ),
                ("class TakeDeadline(", "class TakeDeadline(grpc."),
                ("context.time", "request.time"),
                ("return method(request, context)", "return method(request)"),
            ),
            "That is all gRPC says when `intercept_service` raises",
        ),
        (
            spoilt("11.4", ("class KeepDeadline", "TakeDeadline = TakeDeadline()\n\n\nclass KeepDeadline")),
            "I expected the class, TakeDeadline, but got an object of it",
        ),
        (
            spoilt(
                "11.4",
                ("time.monotonic() + left)", "left)"),
                ("deadline.get() - time.monotonic()", "deadline.get()"),
            ),
            "its handler worked for 0.4 of them before it called on. Expected at most 1.6 seconds",
        ),
        (
            spoilt("11.4", ("if details.timeout is None or left < details.timeout:", "if details.timeout is None:")),
            "its handler called on with timeout=30. Expected at most 2 seconds",
        ),
        (
            spoilt("11.4", ("if details.timeout is None or left < details.timeout:", "if True:")),
            "A caller gave the gateway 20 seconds, and its handler called on with timeout=2",
        ),
        (
            spoilt("11.4", ("details = changed(details, timeout=left)", "details.timeout = left")),
            "can't set attribute",
        ),
        (
            spoilt(
                "11.4",
                ('ContextVar("deadline", default=None)', "[None]"),
                ("deadline.set(time.monotonic() + left)", "deadline[0] = time.monotonic() + left"),
                ("deadline.get()", "deadline[0]"),
            ),
            "A caller set no deadline, and the handler called on",
        ),
        (
            spoilt("11.4", ("changed(details, timeout=left)", "changed(details, timeout=left, metadata=None)")),
            "The deadline is right, but the metadata got lost",
        ),
    ],
}
