"""Wrong answers to the exercises, one module a notebook: nb05.py for notebook 05.

Each module holds `WRONG: dict[str, list[tuple[str, str]]]`: for every exercise id at least two pairs of a source that
replaces the stub and a fragment of the message that it must get. They are the mistakes learners really make.
"""
