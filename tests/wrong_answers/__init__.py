"""Wrong answers to the exercises, one module a notebook: nb05.py for notebook 05.

Each module holds `WRONG: dict[str, list[tuple[str, str]]]`: for every exercise id at least two pairs of a source that
replaces the stub and a fragment of the message that it must get. They are the mistakes learners really make.
"""

from teams_lib.exercises import find


def spoilt(exercise_id: str, *changes: tuple[str, str]) -> str:
    """An exercise's solution with something wrong: each old text, which must be there, is replaced by a new one."""
    solution = find(exercise_id).solution
    for old, new in changes:
        assert old in solution, f"{exercise_id}: its solution no longer holds {old!r}"
        solution = solution.replace(old, new)
    return solution
