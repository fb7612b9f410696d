"""The files that say what to install agree with each other, and with what is installed here."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GROUPS = PROJECT["dependency-groups"]
LEARNERS = [Requirement(line) for line in PROJECT["project"]["dependencies"] + GROUPS["test"]]
MAINTAINERS = [Requirement(line) for line in GROUPS["dev"] if isinstance(line, str)]
LINES = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
PINNED = [Requirement(line) for line in LINES[:-1]]
TOOLS = [Requirement(line) for line in (ROOT / "tools" / "requirements.txt").read_text(encoding="utf-8").splitlines()]


def pinned(wanted: Requirement, pins: list[Requirement]) -> str:
    """The version that is pinned for this Python and system."""
    [pin] = [
        pin
        for pin in pins
        if canonicalize_name(pin.name) == canonicalize_name(wanted.name)
        if pin.marker is None or pin.marker.evaluate()
    ]
    [specifier] = pin.specifier
    return specifier.version


def test_requirements_end_with_the_course_itself() -> None:
    assert LINES[-1] == "-e ."


def test_maintainers_have_the_versions_that_learners_have() -> None:
    assert set(map(str, PINNED)) <= set(map(str, TOOLS))


@pytest.mark.parametrize("pin", TOOLS, ids=str)
def test_every_requirement_is_pinned_to_one_version_without_an_address(pin: Requirement) -> None:
    assert re.fullmatch(r"==[\w.+!]+", str(pin.specifier))
    assert pin.url is None


@pytest.mark.parametrize("wanted", LEARNERS, ids=str)
def test_every_dependency_is_pinned_within_its_range(wanted: Requirement) -> None:
    assert wanted.specifier.contains(pinned(wanted, PINNED))


@pytest.mark.parametrize("wanted", MAINTAINERS, ids=str)
def test_every_tool_is_pinned_within_its_range(wanted: Requirement) -> None:
    assert wanted.specifier.contains(pinned(wanted, TOOLS))


@pytest.mark.parametrize("wanted", LEARNERS, ids=str)
def test_what_is_installed_is_what_is_pinned(wanted: Requirement) -> None:
    assert importlib.metadata.version(wanted.name) == pinned(wanted, PINNED)


def test_every_dependency_has_a_reason_beside_it() -> None:
    blocks = re.findall(
        r"(?:dependencies|test|dev) = \[\n(.*?)\n\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.DOTALL
    )
    assert len(blocks) == 3
    for block in blocks:
        explained = False
        for line in block.splitlines():
            # A comment on a line of its own speaks for the lines below it, up to one that has a reason of its own.
            explained = line.lstrip().startswith("#") or (explained and "#" not in line)
            assert explained or "#" in line, line


def test_code_generated_by_any_of_the_grpc_family_loads_on_grpcio() -> None:
    # Generated code refuses a grpcio that is older than its generator (notebook 02). Not every package has every patch.
    family = {pin.name: Version(str(pin.specifier)[2:]) for pin in PINNED if pin.name.startswith("grpcio")}
    assert family["grpcio-tools"] == family["grpcio"]
    assert {name for name, version in family.items() if version > family["grpcio"]} == set()
    assert {version.release[:2] for version in family.values()} == {family["grpcio"].release[:2]}


def test_environment_yml_takes_python_and_pip_from_conda_and_the_rest_from_requirements() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, rest = environment["dependencies"]
    assert python == "python" + PROJECT["project"]["requires-python"]
    assert pip == "pip"
    assert rest == {"pip": ["-r requirements.txt"]}
    assert environment["name"] in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_names_every_make_target_that_it_promises() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^ {4})make (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"lab", "test", "refresh", "check"} <= named <= targets
