"""The files that say what to install agree with each other, and with what is installed here."""

import importlib.metadata
import json
import re
import tomllib
from pathlib import Path
from typing import Any

from tests import checkout

import pytest
import yaml
from jupyter_core.paths import jupyter_path
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
README, CONTRIBUTING, CHANGELOG = (
    (ROOT / f"{name}.md").read_text(encoding="utf-8") for name in ("README", "CONTRIBUTING", "CHANGELOG")
)
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


def test_the_extension_of_jupyterlab_is_installed_as_it_is_here() -> None:
    def files(folder: Path) -> dict[Path, bytes]:
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    places = [Path(folder, "teams-alt-text") for folder in jupyter_path("labextensions")]
    installed = next(filter(Path.exists, places))
    assert files(installed) == files(ROOT / "teams_lib" / "alt_text"), "install it again: `pip install -e .`"


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


ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def test_environment_yml_takes_python_and_pip_from_conda_and_the_rest_from_requirements() -> None:
    python, pip, rest = ENVIRONMENT["dependencies"]
    # One minor version, with a single sign: repo2docker, behind Binder, overlooks any other form and takes Python 3.10.
    [version] = re.findall(r"^python=(3\.\d+)$", python)
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(version)
    assert pip == "pip"
    assert rest == {"pip": ["-r requirements.txt"]}
    assert f"conda env create && conda activate {ENVIRONMENT['name']}\n" in README


def test_the_dev_container_makes_the_environment_of_environment_yml() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert container["postCreateCommand"].split()[:3] == ["conda", "env", "create"]
    assert (ROOT / container["postCreateCommand"].split("--file ")[1]).samefile(ROOT / "environment.yml")
    interpreter = container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert interpreter == f"/opt/conda/envs/{ENVIRONMENT['name']}/bin/python"
    assert re.fullmatch(r"condaforge/miniforge3:[\d.]+-\d+", container["image"]), "one that does not move"


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOW = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in WORKFLOWS}
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def last_command(job: dict[str, Any]) -> str:
    return [str(step["run"]) for step in job["steps"] if "run" in step][-1]


def test_the_workflow_tests_the_systems_and_the_pythons_that_readme_names() -> None:
    matrix = WORKFLOW["test"]["jobs"]["course"]["strategy"]["matrix"]
    where = README.partition("### Where it runs")[2].partition("###")[0]
    runners = {"Linux": "ubuntu-latest", "macOS": "macos-latest", "Windows": "windows-latest"}
    assert matrix["system"] == [runner for system, runner in runners.items() if system in where]
    oldest, newest = matrix["python"]
    assert PROJECT["project"]["requires-python"] == f">={oldest}"
    assert Version(oldest) < Version(newest) == max(map(Version, re.findall(r"3\.\d+", where)))


@each_workflow
def test_a_job_without_a_matrix_runs_on_the_newest_python(path: Path) -> None:
    newest = WORKFLOW["test"]["jobs"]["course"]["strategy"]["matrix"]["python"][-1]
    assert set(re.findall(r'python-version: "(.*)"', path.read_text(encoding="utf-8"))) == {newest}


def test_the_workflows_run_every_notebook_before_each_merge_each_week_and_before_a_release() -> None:
    jobs = WORKFLOW["test"]["jobs"]
    assert last_command(jobs["course"]) == "pytest --nbval -n auto"
    assert last_command(jobs["everything"]) == ".ci/run"
    assert {"make check", "make offline"} <= {line.partition("  #")[0] for line in lines_of(".ci/run")}
    assert last_command(WORKFLOW["newest"]["jobs"]["newest"]) == ".ci/newest"
    assert "schedule" in WORKFLOW["newest"][True]  # YAML takes the key `on` for a truth value
    release = WORKFLOW["release"]["jobs"]
    assert release["test"]["uses"] == "./.github/workflows/test.yml"
    assert release["release"]["needs"] == "test"


@each_workflow
def test_a_step_that_fails_fails_its_workflow(path: Path) -> None:
    assert re.findall(r"continue-on-error|\|\|", path.read_text(encoding="utf-8")) == []


def lines_of(name: str) -> list[str]:
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


@each_workflow
def test_a_workflow_runs_no_action_that_somebody_else_can_change(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", path.read_text(encoding="utf-8"))
    moving = [name for name, comment in used if not re.search(r"@[0-9a-f]{40}$", name) or "# v" not in comment]
    assert [name for name in moving if not name.startswith("./")] == []


MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_readme_and_contributing_name_make_targets_that_there_are() -> None:
    targets = set(re.findall(r"^(\w+):", MAKEFILE, re.MULTILINE))
    named = set(re.findall(r"(?:`|^ {4})make (\w+)", f"{README}\n{CONTRIBUTING}\n{CHANGELOG}", re.MULTILINE))
    assert {"lab", "test", "refresh", "check", "notebook", "update"} <= named <= targets


def test_make_alone_tells_what_each_target_does() -> None:
    targets = {name for names in re.findall(r"^\.PHONY: (.*)", MAKEFILE, re.MULTILINE) for name in names.split()}
    told = re.findall(r"^make (\w+) {2,}\w", checkout.make().stdout, re.MULTILINE)
    needed_by_others = {"class", "committed"}
    assert sorted(told) == sorted(targets - needed_by_others - {"help"})


def test_pytest_takes_up_the_notebooks_and_nothing_but_nbval_itself_says_how_strictly() -> None:
    options = PROJECT["tool"]["pytest"]["ini_options"]
    assert options["testpaths"][0] == "notebooks"
    assert "nbval" not in options["addopts"]  # --nbval-lax or --nbval-sanitize-with would hide what has changed


def test_make_test_runs_every_notebook_on_all_cores() -> None:
    assert checkout.make("--dry-run", "test").stdout.splitlines()[-1].endswith("pytest --nbval -n auto")


@pytest.mark.parametrize("target", ["update", "newest"])
def test_what_rewrites_the_pins_first_asks_git_for_the_way_back_and_then_upgrades(target: str) -> None:
    printed = checkout.make("--dry-run", target).stdout
    refusal, first = printed.index("Commit your changes first"), printed.index("uv pip compile")
    assert refusal < first
    compiled = [line for line in printed.splitlines() if "uv pip compile" in line]
    assert [line for line in compiled if "--upgrade " not in line] == []


def test_readme_and_contributing_name_files_that_there_are() -> None:
    texts = f"{README}\n{CONTRIBUTING}".replace("\\", "/")
    named = set(re.findall(r"(?<![\w./~])(?:notebooks|protobufs|teams_lib|tests|tools)/[\w/]+\.\w+", texts))
    of_the_example = {name for name in named if re.search(r"(?:/|nb)15", name)}
    assert len(named) > 20
    assert [name for name in named - of_the_example if not (ROOT / name).exists()] == []
