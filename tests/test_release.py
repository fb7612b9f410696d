"""A release: its version stands in one place, and CHANGELOG.md says what it brings."""

import subprocess
import zipfile
from pathlib import Path

from tools import release

import pytest

CHANGES = """# What is new

## [Unreleased]

- not yet

## [1.2.3] - 2026-11-23

### Added

- A lesson.

## [1.2.2] - 2026-10-01

- A typo.
"""


def test_the_version_has_its_section_in_the_changelog() -> None:
    assert release.notes(release.CHANGELOG.read_text(encoding="utf-8"), release.version())


def test_the_notes_of_a_version_are_its_section_and_no_other() -> None:
    assert release.notes(CHANGES, "1.2.3") == "### Added\n\n- A lesson.\n"
    assert release.notes(CHANGES, "1.2.2") == "- A typo.\n"


@pytest.mark.parametrize(
    "changelog",
    ["", CHANGES, "## [1.3.0]\n\n- no date\n", "## [1.3.0] - 2026-11-23\n\n## [1.2.3] - 2026-11-23\n\n- other\n"],
    ids=["an empty file", "other versions", "no date", "an empty section"],
)
def test_a_version_without_notes_is_not_released(changelog: str) -> None:
    with pytest.raises(release.ReleaseError, match=r"write what version 1\.3\.0 brings, under '## \[1\.3\.0\] - year-"):
        release.notes(changelog, "1.3.0")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course in git, small, with a book that has been built."""
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n', encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text(CHANGES, encoding="utf-8")
    author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    for command in (("init", "--quiet"), ("add", "."), (*author, "commit", "--quiet", "--message=All")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "build" / "book").mkdir(parents=True)
    (tmp_path / "build" / "book" / "index.html").write_text("<p>The book</p>", encoding="utf-8")
    monkeypatch.setattr(release.series, "ROOT", tmp_path)
    monkeypatch.setattr(release, "CHANGELOG", tmp_path / "CHANGELOG.md")
    monkeypatch.setattr(release, "BUILD", tmp_path / "build")
    return tmp_path


def test_a_release_is_the_course_as_committed_the_book_and_the_notes(project: Path) -> None:
    (project / "draft.txt").write_text("not committed", encoding="utf-8")
    course, book, notes = release.make("v1.2.3")
    assert zipfile.ZipFile(course).namelist() == [
        "grpc-course-1.2.3/",
        "grpc-course-1.2.3/CHANGELOG.md",
        "grpc-course-1.2.3/pyproject.toml",
    ]
    assert zipfile.ZipFile(book).namelist() == ["book/", "book/index.html"]
    assert notes.read_text(encoding="utf-8") == "### Added\n\n- A lesson.\n"


def test_a_release_of_what_is_not_committed_is_refused(project: Path) -> None:
    (project / "CHANGELOG.md").write_text(f"{CHANGES}\n- One more.\n", encoding="utf-8")
    with pytest.raises(release.ReleaseError, match=r"commit first what has changed: CHANGELOG\.md$"):
        release.make("v1.2.3")


@pytest.mark.parametrize("tag", ["v1.2.4", "1.2.3", ""])
def test_a_tag_that_is_not_the_versions_is_refused(project: Path, tag: str) -> None:
    with pytest.raises(release.ReleaseError, match=r"pyproject\.toml has version 1\.2\.3, whose tag is v1\.2\.3, not"):
        release.make(tag)


def test_a_release_without_a_book_is_refused(project: Path) -> None:
    (project / "build" / "book" / "index.html").unlink()
    with pytest.raises(release.ReleaseError, match="run `make book`"):
        release.make("v1.2.3")


def test_the_command_says_what_is_wrong_and_ends_with_1(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["v9"]) == 1
    assert capsys.readouterr().err == "pyproject.toml has version 1.2.3, whose tag is v1.2.3, not v9\n"
