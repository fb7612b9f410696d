"""A headless Chromium for tests and measurements: the one of the system, or the one that Playwright has installed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Browser, Error, Playwright, sync_playwright

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING: Final = (
    "no browser was found: `apt install chromium` on Debian, "
    "or `playwright install chromium` in the environment of the course"
)
# What a browser asks for by itself; what a page asks for must stay to be seen (tools/offline.py).
OWN_HOSTS: Final = ("update.googleapis.com", "accounts.google.com", "content-autofill.googleapis.com")
QUIET: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    f"--host-resolver-rules={', '.join(f'MAP {host} ~NOTFOUND' for host in OWN_HOSTS)}",
)


class NoBrowserError(RuntimeError):
    """There is no browser to be had; the message says how to get one."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a headless Chromium, and close it at the end of the block.

    Raises:
        NoBrowserError: there is none, neither on the PATH nor installed by Playwright, nor Chrome where it usually is.
    """
    with sync_playwright() as playwright:
        browser = _launch(playwright)
        try:
            yield browser
        finally:
            browser.close()


def _launch(playwright: Playwright) -> Browser:
    # Chromium refuses to sandbox as root, which is what containers run as.
    sandbox = not (hasattr(os, "geteuid") and os.geteuid() == 0)
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    try:
        if program:
            return playwright.chromium.launch(executable_path=program, args=QUIET, chromium_sandbox=sandbox)
        if os.path.exists(playwright.chromium.executable_path):
            return playwright.chromium.launch(args=QUIET, chromium_sandbox=sandbox)
        return playwright.chromium.launch(channel="chrome", args=QUIET, chromium_sandbox=sandbox)
    except Error as error:
        raise NoBrowserError(f"{MISSING}\n{error}") from error
