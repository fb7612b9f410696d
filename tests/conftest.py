"""Fixtures for the tests that use the course in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.needs import missing, need_module

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")  # no longer: while Playwright runs, its thread can run no other event loop
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    need_module("playwright")
    from tools.browser import NoBrowserError, chromium

    with ExitStack() as stack:
        try:
            browser = stack.enter_context(chromium())
        except NoBrowserError as error:
            missing(str(error))
        yield browser
