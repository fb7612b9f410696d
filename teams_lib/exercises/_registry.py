"""The exercises, found by id. A notebook's module is imported when one of its exercises is first asked for."""

import ast
import importlib
import pkgutil
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Check = Callable[[Any], None]


@dataclass(frozen=True)
class Exercise:
    """One exercise; the fields are the arguments of `exercise`."""

    id: str
    title: str
    stub: str
    solution: str
    why: str
    hints: tuple[str, ...]
    check: Check
    answer: str
    allow_threads: bool

    @property
    def check_line(self) -> str:
        """The last line of the exercise's cell."""
        return f'check("{self.id}", {self.answer})'

    def cell(self, answer: str) -> str:
        """The exercise's cell with this answer (the stub, the solution or a wrong answer) in it."""
        defines = isinstance(ast.parse(self.stub).body[-1], ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        blank = "\n" * (3 if defines else 2)  # as ruff formats it
        return f"{answer}{blank}{self.check_line}"


_known: dict[str, Exercise] = {}


def exercise(
    exercise_id: str,
    *,
    title: str,
    stub: str,
    solution: str,
    why: str,
    hints: tuple[str, ...],
    answer: str | None = None,
    allow_threads: bool = False,
) -> Callable[[Check], Check]:
    """Register an exercise; decorates its check.

    The check gets the learner's answer, judges what it does (not how it is written), and raises `NotYet` or returns
    None. It runs in a thread of its own for at most four seconds.

    Args:
        exercise_id: the notebook's number and the exercise's, such as "05.2".
        title: a few words.
        stub: the code the learner starts from, without the check line; indentation common to all lines is removed.
        solution: code that replaces the stub and passes the check.
        why: one sentence on why the solution works.
        hints: one to three, each saying more than the one before.
        answer: the expression that is checked; without it, the name that the stub binds last.
        allow_threads: True if the answer may leave threads running after the check.

    Returns:
        A decorator that returns the check unchanged.

    Raises:
        ValueError: the definition is incomplete, or the id is taken.

    Example:
        @exercise("05.2", title="Stop after the first S", stub=..., solution=..., why=..., hints=("Use next().",))
        def _(answer: Any) -> None:
            expect_equal(call="first_s(stub)", expected="San Francisco", got=called(answer, stub))
    """
    if not re.fullmatch(r"\d\d\.[1-9]\d*", exercise_id):
        raise ValueError(f"{exercise_id!r} is no exercise id. An id looks like '05.2': notebook 05, exercise 2.")
    if exercise_id in _known:
        raise ValueError(f"There are two exercises {exercise_id}. Give one of them another number.")
    if not 1 <= len(hints) <= 3:
        raise ValueError(f"Exercise {exercise_id} needs one to three hints, and has {len(hints)}.")
    if not (title and why):
        raise ValueError(f"Exercise {exercise_id} needs a title and a why.")
    stub = textwrap.dedent(stub).strip()
    solution = textwrap.dedent(solution).strip()
    checked = answer or _last_name(exercise_id, stub)

    def register(check: Check) -> Check:
        _known[exercise_id] = Exercise(
            exercise_id, title, stub, solution, why, tuple(hints), check, checked, allow_threads
        )
        return check

    return register


def _last_name(exercise_id: str, stub: str) -> str:
    match ast.parse(stub).body[-1:]:
        case [ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name)]:
            return name
        case [ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name))]:
            return name
    raise ValueError(f"The stub of {exercise_id} does not end in a definition: say answer=... what is to be checked.")


def notebooks() -> list[str]:
    """The numbers of the notebooks that have exercises, such as "05", in order."""
    package = importlib.import_module(__package__)
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name[2:] for name in names if re.fullmatch(r"nb\d\d", name))


def of_notebook(number: str) -> list[Exercise]:
    """A notebook's exercises in order; imports its module."""
    if number in notebooks():
        importlib.import_module(f"{__package__}.nb{number}")
    mine = (each for each in _known.values() if each.id.startswith(f"{number}."))
    return sorted(mine, key=lambda each: int(each.id.partition(".")[2]))


def heading(number: str) -> str:
    """The notebook's number, and the first line of its module's docstring."""
    doc = importlib.import_module(f"{__package__}.nb{number}").__doc__ or ""
    return " · ".join([number, *doc.strip().splitlines()[:1]]).rstrip(".")


def find(exercise_id: str) -> Exercise:
    """The exercise with this id.

    Raises:
        LookupError: there is none; the text lists the ids that come near.
    """
    number = str(exercise_id).partition(".")[0]
    near = of_notebook(number)
    for each in near:
        if each.id == exercise_id:
            return each
    if near:
        hint = f"Notebook {number} has {', '.join(each.id for each in near)}."
    else:
        hint = f'Exercises exist for the notebooks {", ".join(notebooks())}; an id looks like "05.2".'
    raise LookupError(f"There is no exercise {exercise_id!r}. {hint}")
