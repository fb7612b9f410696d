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
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WANTED = [Requirement(line) for line in PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]]
LINES = (ROOT / "requirements.txt").read_text().splitlines()
PINNED = {canonicalize_name(pin.name): pin for pin in map(Requirement, LINES[:-1])}


def test_requirements_end_with_the_course_itself() -> None:
    assert LINES[-1] == "-e ."


@pytest.mark.parametrize("pin", PINNED.values(), ids=str)
def test_every_requirement_is_pinned_to_one_version_without_an_address(pin: Requirement) -> None:
    assert re.fullmatch(r"==[\w.+!]+", str(pin.specifier))
    assert pin.url is None


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_every_dependency_is_pinned_within_its_range(wanted: Requirement) -> None:
    [pin] = PINNED[canonicalize_name(wanted.name)].specifier
    assert wanted.specifier.contains(pin.version)


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_what_is_installed_is_what_is_pinned(wanted: Requirement) -> None:
    [pin] = PINNED[canonicalize_name(wanted.name)].specifier
    assert importlib.metadata.version(wanted.name) == pin.version


def test_every_dependency_has_a_reason_beside_it() -> None:
    blocks = re.findall(r"(?:dependencies|dev) = \[\n(.*?)\n\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        explained = False
        for line in block.splitlines():
            # A comment on a line of its own speaks for the lines below it, up to one that has a reason of its own.
            explained = line.lstrip().startswith("#") or (explained and "#" not in line)
            assert explained or "#" in line, line


def test_code_generated_by_any_of_the_grpc_family_loads_on_grpcio() -> None:
    # Generated code refuses a grpcio that is older than its generator (notebook 02). Not every package has every patch.
    family = {pin.name: Version(str(pin.specifier)[2:]) for pin in PINNED.values() if pin.name.startswith("grpcio")}
    assert family["grpcio-tools"] == family["grpcio"]
    assert {name for name, version in family.items() if version > family["grpcio"]} == set()
    assert {version.release[:2] for version in family.values()} == {family["grpcio"].release[:2]}


def test_environment_yml_takes_python_and_pip_from_conda_and_the_rest_from_requirements() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, rest = environment["dependencies"]
    assert python == "python" + PROJECT["project"]["requires-python"]
    assert pip == "pip"
    assert rest == {"pip": ["-r requirements.txt"]}
    assert environment["name"] in (ROOT / "README.md").read_text()


def test_the_readme_names_every_make_target_that_it_promises() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^ {4})make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert {"lab", "test", "refresh", "check"} <= named <= targets
