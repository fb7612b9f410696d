"""What a test needs beyond Python: optional on a user's machine, never in CI on Linux, where .ci/run installs it."""

import importlib.util
import os
import sys
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test where something is not installed; in CI on Linux, fail.

    Args:
        what: what is missing, and how to get it.
    """
    if os.environ.get("CI") and sys.platform == "linux":
        pytest.fail(what)
    pytest.skip(what)


def need_module(name: str) -> None:
    """Go on only if a module of tools/requirements.txt is installed."""
    if importlib.util.find_spec(name) is None:
        missing(f"{name} is not installed: `make tools`, or `pip install -r tools/requirements.txt`")
