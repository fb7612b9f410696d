"""Has the learner written anything yet? Decided on syntax trees, so comments and blank lines don't count."""

import ast
import inspect
import linecache
import sys
from typing import Any

from teams_lib.exercises._registry import Exercise

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def is_untouched(answer: object, exercise: Exercise) -> bool:
    """True if the answer is still the stub's, or the running cell is still the cell as it was handed out."""
    if answer is ...:
        return True
    stub = ast.parse(exercise.stub).body
    written = _definition(answer)
    parts = [node for node in stub if not isinstance(node, ast.Import | ast.ImportFrom)]
    # If the stub holds more than this one definition, the attempt may be in another part: then only the cell tells.
    if written is not None and len(parts) == 1 and ast.dump(written) == ast.dump(parts[0]):
        return True
    cell = _parsed(_running_cell())
    return cell is not None and ast.dump(cell) == ast.dump(ast.parse(exercise.cell(exercise.stub)))


def _definition(answer: object) -> ast.stmt | None:
    """The `def` or `class` that made this object, if its source is at hand.

    inspect.getsource can't be used: it does not find classes that are defined in a notebook.
    """
    answer = inspect.unwrap(answer) if callable(answer) else answer
    if not (inspect.isfunction(answer) or inspect.isclass(answer)):
        return None
    candidates = [answer, *vars(answer).values()]  # a class has no code of its own, its methods have
    code = next((each.__code__ for each in candidates if inspect.isfunction(each)), None)
    if code is None:
        return None
    tree = _parsed("".join(linecache.getlines(code.co_filename)))
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, _DEFINITIONS) and node.name == answer.__name__:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if first <= code.co_firstlineno <= (node.end_lineno or first):
                return node
    return None


def _running_cell() -> str:
    """The source of the cell that runs now, or nothing outside a notebook."""
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython else None
    if not hasattr(shell, "get_parent"):
        return ""
    # Not In[-1]: it is empty for cells that run without history, as nbval's do.
    return str(shell.transform_cell(shell.get_parent().get("content", {}).get("code", "")))


def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return None
