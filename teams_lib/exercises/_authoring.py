"""What a check uses to judge an answer and to say, in one voice, what it saw."""

import inspect
from collections.abc import Callable
from typing import Any

_LONGEST = 200  # characters of a value that fit into a message


class NotYet(Exception):  # noqa: N818 - it is an answer, not an error
    """Raised by a check when the answer does not solve the exercise; its text is what the learner reads."""


def called(answer: object, *args: Any, **kwargs: Any) -> Any:
    """Call the learner's function, and say so in plain words when it can't be called like this.

    Args:
        answer: what the learner handed in; a function or class is expected.
        args: positional arguments of the call.
        kwargs: keyword arguments of the call.

    Returns:
        Whatever the function returns. Its own exceptions pass through: the runner reports them with their line.

    Raises:
        NotYet: `answer` is not callable, or does not take these arguments.

    Example:
        >>> called(str.upper, "seattle")
        'SEATTLE'
    """
    if not callable(answer):
        raise NotYet(f"I expected a function to call, but got {shown(answer)}.")
    _require_signature(answer, args, kwargs)
    return answer(*args, **kwargs)


def _require_signature(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions have none
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        count = len(args) + len(kwargs)
        name = getattr(function, "__name__", "your function")
        arguments = "1 argument" if count == 1 else f"{count} arguments"
        raise NotYet(f"I called {name} with {arguments}, and it does not take that: {error}.") from None


def expect_equal(*, call: str, expected: object, got: object) -> None:
    """Require that a call returned what it should.

    Args:
        call: the call as the learner would write it, such as "first_s(stub)".
        expected: the right value.
        got: the value that came.

    Raises:
        NotYet: the two differ; the message names the call and both values.

    Example:
        >>> expect_equal(call="first_s(stub)", expected="Seattle", got="Seattle")
    """
    if got != expected:
        raise NotYet(f"I called {call}. Expected {shown(expected)}, but got {shown(got)}.")


def shown(value: object) -> str:
    """The value as one line of a message, cut where it gets long."""
    text = one_line(repr(value))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"


def one_line(text: str) -> str:
    """The text on one line: messages of protobuf and gRPC often take several."""
    return " ".join(text.split()) if "\n" in text else text
