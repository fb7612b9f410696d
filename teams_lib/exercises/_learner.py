"""The five functions a learner calls."""

import sys

from teams_lib.exercises import _registry, _runner, _store
from teams_lib.exercises._attempt import is_untouched
from teams_lib.exercises._display import Note, Result

_hints_shown: dict[str, int] = {}


def check(exercise_id: str, answer: object) -> Result:
    """Check an answer.

    Args:
        exercise_id: the exercise, such as "05.2".
        answer: the function, class or value that the exercise asks for.

    Returns:
        The result: not attempted, not yet (with a message), or solved. It comes within five seconds.

    Raises:
        LookupError: there is no such exercise.

    Example:
        check("05.2", first_s)
    """
    exercise = _registry.find(exercise_id)
    if is_untouched(answer, exercise):
        return Result(exercise.id, "not attempted")
    message = _runner.run(exercise, answer, learner=sys._getframe(1).f_globals)
    if message is not None:
        return Result(exercise.id, "not yet", message)
    _store.record(exercise.id)
    return Result(exercise.id, "solved", exercise.title)


def hint(exercise_id: str) -> Note:
    """The exercise's next hint; after the last one, the last one again.

    Args:
        exercise_id: the exercise, such as "05.2".

    Returns:
        The hint.

    Raises:
        LookupError: there is no such exercise.

    Example:
        hint("05.2")
    """
    exercise = _registry.find(exercise_id)
    total = len(exercise.hints)
    number = _hints_shown.get(exercise.id, 0) + 1
    head = f"{exercise.id} · hint {min(number, total)} of {total}"
    text = exercise.hints[min(number, total) - 1]
    if number > total:
        text += f'\n\nThat was the last hint. `solution("{exercise.id}")` shows one way to do it.'
    _hints_shown[exercise.id] = number
    return Note(head, text)


def solution(exercise_id: str) -> Note:
    """A worked answer, and why it works.

    Args:
        exercise_id: the exercise, such as "05.2".

    Returns:
        The code and the reason.

    Raises:
        LookupError: there is no such exercise.

    Example:
        solution("05.2")
    """
    exercise = _registry.find(exercise_id)
    return Note(f"{exercise.id} · one solution", exercise.why, exercise.solution)


def progress() -> Note:
    """Which exercises you have solved, notebook by notebook.

    Returns:
        A line a notebook, with a mark for each exercise: ● is solved.

    Example:
        progress()
    """
    solved, note = _store.solved()
    exercises = {number: _registry.of_notebook(number) for number in _registry.notebooks()}
    done = sum(each.id in solved for group in exercises.values() for each in group)
    lines = []
    for number, group in exercises.items():
        marks = "".join("●" if each.id in solved else "○" for each in group)
        lines.append(f"{_registry.heading(number)}  {marks}")
    if note:
        lines += ["", note]
    return Note(f"{done} of {sum(map(len, exercises.values()))} exercises solved", "\n".join(lines))


def reset_progress() -> Note:
    """Forget which exercises you have solved.

    Returns:
        A note that says whether it worked.

    Example:
        reset_progress()
    """
    return Note(_store.reset())
