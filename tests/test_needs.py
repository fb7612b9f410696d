"""What is missing skips a test on a user's machine, and fails it in CI: no job passes because it tested nothing."""

import sys

from tests.needs import need_module

import pytest


def test_on_a_users_machine_a_test_is_skipped_and_says_how_to_get_what_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="nowhere is not installed: `make tools`"):
        need_module("nowhere")


@pytest.mark.skipif(sys.platform != "linux", reason="what the tests need is installed in CI on Linux alone")
def test_in_ci_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match="nowhere is not installed") as ended:
        need_module("nowhere")
    assert ended.type is pytest.fail.Exception


def test_with_all_that_it_needs_a_test_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    need_module("pytest")
