"""Runs a check so that nothing in the learner's answer can hurt the kernel: in a thread, with a deadline.

Time: 4 s for the check, then half a second for its clean-up or for threads to end. With the time to record a solved
exercise this stays under five seconds.
"""

import ctypes
import gc
import linecache
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from teams_lib.exercises._authoring import NotYet, called, one_line
from teams_lib.exercises._registry import Exercise

import grpc

DEADLINE = 4.0  # seconds for the check
GRACE = 0.5  # seconds for what still runs after it

Callback = TypeVar("Callback", bound=Callable[[], Any])
_current = threading.local()


def clean_up(callback: Callback) -> Callback:
    """Have a check call this when it ends, however it ends; the last one registered is called first.

    Prefer it to `with` for what a hanging answer may wait for: when the time is over, `with` can't run its exit while
    the answer still waits, but the runner can stop the server or close the channel, and this ends the waiting.

    Args:
        callback: called without arguments, perhaps in another thread.

    Returns:
        The callback.

    Raises:
        RuntimeError: no check runs in this thread.

    Example:
        # A name of its own: without it, starting this server would stop the learner's.
        server = BackgroundServer(TeamsServicer(), name="check 05.2").start()
        clean_up(server.stop)
    """
    callbacks: list[Callable[[], Any]] | None = getattr(_current, "callbacks", None)
    if callbacks is None:
        raise RuntimeError("clean_up works only in a check. Elsewhere, use `with`.")
    callbacks.append(callback)
    return callback


def run(exercise: Exercise, answer: object, learner: dict[str, Any]) -> str | None:
    """Run an exercise's check on an answer.

    Args:
        exercise: whose check to run.
        answer: what the learner handed in.
        learner: the globals of the learner's code, by which its frames are told from the check's.

    Returns:
        None if the answer solves the exercise, else a message for the learner.
    """
    before = set(threading.enumerate())
    callbacks: list[Callable[[], Any]] = []
    messages: list[str | None] = []
    cleaning = threading.Event()
    done = threading.Event()  # Python 3.11 takes a thread for ended when a Ctrl-C arrives while it is joined

    def work() -> None:
        _current.callbacks = callbacks
        try:
            try:
                exercise.check(answer)
            finally:
                cleaning.set()
                _drain(callbacks)
        except NotYet as error:
            messages.append(str(error))
        except BaseException as error:  # nothing that the answer raises may end the kernel, not even sys.exit
            messages.append(_explained(error, learner))
        else:
            messages.append(None)
        finally:
            done.set()

    thread = threading.Thread(target=work, name=f"check {exercise.id}", daemon=True)
    thread.start()
    try:
        done.wait(DEADLINE)
    finally:  # also if the learner interrupts the kernel
        late = not done.is_set()
        where = _learner_line(thread, learner) if late else ""
        stopped = not late or _stop(thread, cleaning, done, callbacks)
    # What the check says while it is being stopped is of our making.
    message = _out_of_time(where, stopped) if late else messages[0]
    if not exercise.allow_threads:
        message = message or _left_running(before)
        for each in _started_since(before):
            if _learner_line(each, learner):  # perhaps an endless loop, in a handler for example
                _interrupt(each)
    return message


def _drain(callbacks: list[Callable[[], Any]]) -> None:
    while callbacks:
        callbacks.pop()()


def _stop(
    thread: threading.Thread, cleaning: threading.Event, done: threading.Event, callbacks: list[Callable[[], Any]]
) -> bool:
    """End the check's thread. Returns False if it could not be ended."""
    end = time.monotonic() + GRACE
    threading.Thread(target=_drain, args=(callbacks,), daemon=True).start()
    while thread.is_alive() and time.monotonic() < end:
        if not cleaning.is_set():  # a server that is half stopped would complain in the learner's cell
            _interrupt(thread)  # code that catches everything may need it more than once
        done.wait(0.05)
    return not thread.is_alive()


def _interrupt(thread: threading.Thread) -> None:
    # Python has no public way to end a thread, and an endless loop would slow the kernel down until it restarts.
    # The exception arrives before the thread's next bytecode; a thread that waits in C gets it when it returns.
    # A SystemExit passes `except Exception`, and ends a thread in silence; one of its subclasses would not.
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))


def _out_of_time(where: str, stopped: bool) -> str:
    message = f"This still ran after {DEADLINE:g} seconds{where}, "
    message += "so I stopped it. " if stopped else "and I could not stop it: restart the kernel before you go on. "
    return message + "Look for a loop that never ends, or for a call that waits with no `timeout=`."


def _learner_line(thread: threading.Thread, learner: dict[str, Any]) -> str:
    frame: FrameType | None = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_globals is learner:
            return f", in {_line(frame, frame.f_lineno)}"
        frame = frame.f_back
    return ""


def _line(frame: FrameType, number: int) -> str:
    code = linecache.getline(frame.f_code.co_filename, number).strip()
    return f"line {number}: `{code}`" if code else f"line {number}"


def _explained(error: BaseException, learner: dict[str, Any]) -> str:
    """What happened and whose line it was, in place of a traceback."""
    walked = list(traceback.walk_tb(error.__traceback__))
    lines = [_line(frame, number) for frame, number in walked if frame.f_globals is learner]
    where = f" in {lines[-1]}" if lines else ""
    if isinstance(error, grpc.RpcError) and hasattr(error, "code") and hasattr(error, "details"):
        return f"A call ended with {error.code()}{where}. Its details: {one_line(str(error.details()))}"
    what = one_line("".join(traceback.format_exception_only(error)).strip())
    if lines or any(frame.f_code is called.__code__ for frame, _ in walked):
        return f"Your code raised {what}{where}"
    return f"The check itself failed with {what}. This looks like a mistake in the course, not in your code: report it."


def _started_since(before: set[threading.Thread]) -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each not in before and not _belongs_to_grpc(each)]


def _left_running(before: set[threading.Thread]) -> str | None:
    if _started_since(before):
        gc.collect()  # the workers of a pool end when the pool is gone
    end = time.monotonic() + GRACE
    # Looked at until there is none: one that is about to end may come to light at any look.
    while (left := _started_since(before)) and (seconds := end - time.monotonic()) > 0:
        left[0].join(seconds)
    if not left:
        return None
    return (
        f"The answer is right, but it leaves running: {', '.join(sorted(each.name for each in left))}. "
        "End what you start: stop a server, shut an executor down, join a thread, or let `with` do it."
    )


def _belongs_to_grpc(thread: threading.Thread) -> bool:
    """gRPC polls channels and servers from daemon threads of its own; they end in their own time."""
    module = getattr(getattr(thread, "_target", None), "__module__", None) or ""
    return module.partition(".")[0] == "grpc"
