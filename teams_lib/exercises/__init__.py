"""Exercises that check themselves.

For the learner: `check`, `hint`, `solution`, `progress` and `reset_progress`.
For the author of a notebook's exercises (one module a notebook, `nb05.py` for notebook 05): `exercise`, `NotYet`,
`called`, `expect_equal`, `serve`, `connect` and `clean_up`.
"""

from teams_lib.exercises._authoring import NotYet, called, expect_equal
from teams_lib.exercises._display import Note, Result
from teams_lib.exercises._learner import check, hint, progress, reset_progress, solution
from teams_lib.exercises._registry import Exercise, exercise, find, notebooks, of_notebook
from teams_lib.exercises._runner import clean_up
from teams_lib.exercises._serving import connect, is_open, refuse_closed_channels, serve

__all__ = [
    "Exercise",
    "NotYet",
    "Note",
    "Result",
    "called",
    "check",
    "clean_up",
    "connect",
    "exercise",
    "expect_equal",
    "find",
    "hint",
    "is_open",
    "notebooks",
    "of_notebook",
    "progress",
    "refuse_closed_channels",
    "reset_progress",
    "serve",
    "solution",
]
