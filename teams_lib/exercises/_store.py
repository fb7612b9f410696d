"""Which exercises are solved: one small JSON file in the user's data folder.

Nothing that is wrong with the file, the folder or its lock stops the learner. What can't be saved is kept in memory
and saved with the next one that can.
"""

import itertools
import json
import os
from pathlib import Path

import filelock
import platformdirs

_LOCK_TIMEOUT = 0.4  # seconds; another notebook holds the lock for about a millisecond

_unsaved: set[str] = set()


def folder() -> Path:
    """Where progress is kept; the environment variable TEAMS_PROGRESS_DIR overrides the place."""
    chosen = os.environ.get("TEAMS_PROGRESS_DIR")
    return Path(chosen) if chosen else platformdirs.user_data_path("teams-course", appauthor=False)


def record(exercise_id: str) -> None:
    """Remember that an exercise is solved."""
    _unsaved.add(exercise_id)
    solved()


def solved() -> tuple[set[str], str]:
    """Save what is not saved yet.

    Returns:
        The ids of the solved exercises, and a sentence for the learner, empty if all is well.
    """
    try:
        with _lock():
            known, note = _load()
            if not _unsaved <= known:
                _save(known | _unsaved)
            known |= _unsaved
            _unsaved.clear()
            return known, note
    except (OSError, NotImplementedError):  # also a lock that is not free in time
        return _readable() | _unsaved, "Progress can't be saved at the moment: it is kept until this kernel ends."


def reset() -> str:
    """Forget every solved exercise. Returns a sentence for the learner."""
    _unsaved.clear()
    try:
        with _lock():
            _load()
            _file().unlink(missing_ok=True)
    except (OSError, NotImplementedError):
        return "Progress can't be reset at the moment: its file or folder can't be written."
    return "Every exercise is unsolved again."


def _file() -> Path:
    return folder() / "progress.json"


def _lock() -> filelock.BaseFileLock:
    folder().mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(folder() / "progress.lock", timeout=_LOCK_TIMEOUT, poll_interval=0.01)


def _parsed() -> set[str]:
    """The ids in the file. Raises ValueError if it holds anything else."""
    try:
        text = _file().read_text(encoding="utf-8")
    except FileNotFoundError:
        return set()
    match json.loads(text):
        case {"solved": list(ids)} if all(isinstance(each, str) for each in ids):
            return set(ids)
    raise ValueError("not a progress file")


def _load() -> tuple[set[str], str]:
    """The ids in the file. A damaged file is renamed, never overwritten. To be called with the lock held."""
    try:
        return _parsed(), _set_aside_note()
    except (ValueError, RecursionError):
        names = (folder() / f"progress-damaged-{number}.json" for number in itertools.count(1))
        _file().rename(next(name for name in names if not name.exists()))
        return set(), _set_aside_note()


def _set_aside_note() -> str:
    damaged = any(folder().glob("progress-damaged-*.json"))
    return f"An older progress file was damaged; it is kept in {folder()}." if damaged else ""


def _save(ids: set[str]) -> None:
    new = folder() / "progress.new"
    new.write_text(json.dumps({"solved": sorted(ids)}), encoding="utf-8")
    new.replace(_file())  # at once: whoever reads meanwhile sees the old file or the new one


def _readable() -> set[str]:
    try:
        return _parsed()
    except (OSError, ValueError, RecursionError):
        return set()
