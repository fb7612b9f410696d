"""The notebooks as documents: what holds for each before any cell runs (``pytest --nbval`` runs them)."""

import ast
import copy
import importlib.metadata
import math
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from tests.learners import compared_loosely
from tools import refresh, series

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from packaging.utils import canonicalize_name

SVG = "image/svg+xml"
ACTIVE = ("text/html", SVG, "application/javascript", "text/markdown")
PATHS = sorted(series.NOTEBOOKS.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
whole_series = pytest.mark.skipif(not PATHS, reason="there are no notebooks yet")


# --- reading -------------------------------------------------------------------------------------------------------

load = cache(series.load)


def code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in load(path).cells if cell.cell_type == "code"]


def markdown_cells(path: Path) -> list[NotebookNode]:
    """The cells that somebody wrote: without the bars and the map."""
    return [cell for cell in load(path).cells if cell.cell_type == "markdown" and "generated" not in cell.metadata]


def without_code(markdown: str) -> str:
    return re.sub(r"`[^`\n]+`", "`…`", without_blocks(markdown))


def without_blocks(markdown: str) -> str:
    return re.sub(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1[`~]*$|<!--.*?-->", "", markdown, flags=re.DOTALL | re.MULTILINE)


def headings(notebook: NotebookNode) -> list[tuple[int, str]]:
    """(level, text) of every heading."""
    text = "\n\n".join(without_blocks(cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    return [(len(marks), name.strip()) for marks, name in re.findall(r"^(#{1,6}) +(.+?)(?: +#+)?$", text, re.MULTILINE)]


def anchors(notebook: NotebookNode) -> set[str]:
    """What a link may name after ``#``: JupyterLab takes the heading's text, with hyphens for spaces."""
    return {re.sub(r"[`*]", "", name).replace(" ", "-") for _, name in headings(notebook)}


def strings(value: object) -> Iterator[str]:
    """Every string in a cell's outputs but binary pictures, whatever the layout of the output."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in ("image/png", "image/jpeg"):
                yield from strings(item)


def syntax_of(cell: NotebookNode) -> ast.Module:
    """The cell's syntax tree, with ``!`` and ``%`` lines as the calls that IPython makes of them."""
    try:
        return ast.parse(TransformerManager().transform_cell(cell.source))
    except SyntaxError:
        if "raises-exception" in cell.metadata.get("tags", []):
            return ast.Module([], [])
        raise


def calls(cell: NotebookNode) -> set[str]:
    """The names of the functions a cell calls; of a magic, the name of the magic."""
    names = set()
    for node in ast.walk(syntax_of(cell)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).split(".")[-1]
            is_magic = name in ("run_line_magic", "run_cell_magic") and isinstance(node.args[0], ast.Constant)
            names.add(f"%{ast.literal_eval(node.args[0])}" if is_magic else name)
    return names


def lines(cell: NotebookNode) -> int:
    return sum(bool(line.strip()) for line in cell.source.splitlines())


# --- a cell's output is the same on every machine and every day ------------------------------------------------------

HOST = r"(?:\d{1,3}(?:\.\d{1,3}){3}|localhost|\[[0-9a-fA-F:]*\]|%5B[0-9a-fA-F:]*%5D)"
FORBIDDEN = {
    "an absolute path": re.compile(
        r"(?<![\w./:<~])/(?:home|Users|root|tmp|var|usr|opt|etc|private|mnt|media|srv|proc|run|Library)(?=/|\b(?![\w.]))"
        r"|(?<![\w./:<~])/(?:[\w. -]+/)+[\w.-]+\.(?:py|pyi|ipynb|proto|so|pem|db|toml)\b"
        r"|file://|site-packages",
    ),
    "a path on Windows": re.compile(r"(?<!\w)[A-Za-z]:\\{1,2}(?:Users|Windows|Program Files|[\w.-]+\\)"),
    "a home folder": re.compile(r"(?<!\w)~/[\w.]"),
    "an address with a port": re.compile(HOST + r":(?!50051\b)\d{1,5}\b|\b[Pp]ort[ =:]{1,3}(?!50051\b)\d{4,5}\b"),
    "a process id": re.compile(r"\bpid\b\W{1,4}\d+|\b[Pp]rocess \d{2,}"),
    "a date": re.compile(r"(?<![\w-])(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?![\d-])"),
    "a time of day": re.compile(r"(?<![\w:.])(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?![\w:])|(?<=\dT)\d\d:\d\d:\d\d"),
    "a line of the C core's log": re.compile(r"^[IWEF]\d{4} \d\d:\d\d:\d\d|\bI0000 00:00:", re.MULTILINE),
    "an object id": re.compile(r"\bat 0x[0-9a-fA-F]{4,}|\b0x[0-9a-fA-F]{9,16}\b"),
    "a terminal's colour code": re.compile(r"\x1b\["),
}
# Sources may show dates, ports and the like, since they stay as they were written.
FORBIDDEN_IN_SOURCES = ("an absolute path", "a path on Windows")


def found(text: str) -> dict[str, str]:
    """What makes a text differ between machines or runs: each kind with the place in question."""
    text = re.sub(r"data:image/[\w+;]+,[\w+/=]+", "", text)
    matches = {kind: pattern.search(text) for kind, pattern in FORBIDDEN.items()}
    findings = {kind: match[0] for kind, match in matches.items() if match}
    folders = (str(folder) for folder in (series.ROOT, Path.home(), Path(sys.prefix), Path(tempfile.gettempdir())))
    here = [name for name in folders if len(name) > 5 and name in text]  # in a container, home may be "/root" or "/"
    return findings | ({"a folder of this machine": here[0]} if here else {})


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("an absolute path", "No such file: '/home/ada/course/teams.proto'"),
        ("an absolute path", "/Users/ada"),
        ("an absolute path", "written to /tmp/tmpabc123"),
        ("an absolute path", "in /srv"),
        ("an absolute path", '  File "/checkout/some folder/notebooks/x.py", line 3'),
        ("an absolute path", "file:///C:/x"),
        ("an absolute path", "lib/python3.11/site-packages/grpc/_channel.py"),
        ("a path on Windows", r"C:\Users\ada"),
        ("a path on Windows", r"'d:\\course\\notebooks'"),
        ("a home folder", "~/course"),
        ("an address with a port", "127.0.0.1:41234"),
        ("an address with a port", "ipv4:127.0.0.1:80"),
        ("an address with a port", "ipv6:%5B::1%5D:41234"),
        ("an address with a port", "localhost:8080"),
        ("an address with a port", "[::]:35001"),
        ("an address with a port", "listening on port 41234"),
        ("a process id", "pid 4242"),
        ("a process id", "{'pid': 4242}"),
        ("a process id", "process 31337 ended"),
        ("a date", "2026-11-23"),
        ("a date", "on 2026-11-23T10:15:00Z"),
        ("a time of day", "at 10:15:00.123"),
        ("a time of day", "2026-11-23T10:15:00Z"),
        ("a line of the C core's log", "E1123 08:00:00.123456    4242 chttp2.cc:1]"),
        ("a line of the C core's log", "I0000 00:00:1732348800.1 fork_posix.cc:75]"),
        ("an object id", "<Server object at 0x7f3c5c0b1d90>"),
        ("an object id", "0x00007f3c5c0b1d90"),
        ("a terminal's colour code", "\x1b[31mred\x1b[0m"),
    ],
)
def test_a_text_that_differs_between_machines_or_runs_is_found(kind: str, text: str) -> None:
    assert kind in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "Teams client received: Chicago Jackals",
        "/Teams/GetTeam",
        "/grpc.health.v1.Health/Check and /teams.v1.Teams/ListTeams",
        "GET /teams/Chicago HTTP/1.1",
        "../protobufs/teams.proto, protobufs/teams.proto and ./teams_lib/server.py",
        "teams_lib/var/x and a/tmp/b",
        "https://grpc.io/docs/guides/index.html and https://github.com/grpc/grpc/blob/master/x.py",
        '<svg xmlns="http://www.w3.org/2000/svg"></svg></var></g>',
        "bound to 127.0.0.1, port 50051: 127.0.0.1:50051 and localhost:50051",
        "http/2 on port 443",
        "00000000: 0a07 4368 6963 6167 6f12 0743 6869 6361  ..Chicago..Chica",
        "0a 07 43 68 69 63 61 67 6f",
        r"b'\n\x07Chicago' and b'\x00\x00\x00\x00\t' and 'a:\nb:\\c'",
        "0x0a 0xff 0x7fffffff, field 1: 2",
        "fingerprint 1F:2A:10:11:12:13:14 and a score of 10:11",
        "example.com:443, check.py:3: note: revealed, teams.proto:12:3: expected ;",
        "grpcio 1.85.1, protobuf 7.36.2, proto3",
        "stream 1: HEADERS, 212 bytes; 4:2 at half time",
        "the pid, the process, the ~ and the 3:30 pm kick-off",
        "{'city': 'Chicago', 'ratio': 1.5}",
        "2026-27 season, games 12-05, call +1-202-555-0143",
    ],
)
def test_a_text_that_stays_the_same_is_not_found(text: str) -> None:
    assert found(text) == {}


@each_notebook
def test_outputs_are_the_same_on_every_machine_and_every_day(path: Path) -> None:
    findings = {
        f"[{cell.execution_count}]": found(text)
        for cell in code_cells(path)
        for text in strings(cell.outputs)
        if found(text)
    }
    assert findings == {}, "show what is the same everywhere, such as a file's name in place of its path"


LOADED = re.compile(
    r"(?:(?<![\w:-])(?!xmlns)[\w:-]+=[\"']?|\burl\([\"']?|\w: *[\"']|!\[[^\]]*\]\(|"
    r"\b(?:import|from|fetch)\b[\s(]*[\"'])(?:https?:)?//[^\"')\s>]+"
)


@pytest.mark.parametrize(
    "output",
    [
        '<script src="https://cdn.example/x.js"></script>',
        "<img src='//cdn.example/x.png'>",
        '<link rel="stylesheet" href="http://cdn.example/x.css">',
        '<image xlink:href="https://cdn.example/x.png"/>',
        "<style>@import url(https://cdn.example/x.css);</style>",
        '<style>@import "https://cdn.example/x.css";</style>',
        "import draw from 'https://cdn.example/x.js';",
        'await import("https://cdn.example/x.js")',
        "require.config({paths: {x: 'https://cdn.example/x'}})",
        "![a chart](https://cdn.example/x.png)",
    ],
)
def test_what_an_output_would_load_from_the_web_is_found(output: str) -> None:
    assert LOADED.search(output)


@each_notebook
def test_outputs_and_texts_load_nothing_from_the_web(path: Path) -> None:
    shown = [data for cell in code_cells(path) for output in cell.outputs for data in output.get("data", {}).items()]
    texts = [text for mime, data in shown if mime in ACTIVE for text in strings(data)]
    texts += [without_code(cell.source) for cell in markdown_cells(path)]
    assert [found for text in texts for found in LOADED.findall(text)] == []


@each_notebook
def test_sources_name_no_folder_of_a_machine(path: Path) -> None:
    wanted = (*FORBIDDEN_IN_SOURCES, "a folder of this machine")
    findings = [
        (number, kind, text)
        for number, cell in enumerate(load(path).cells, start=1)
        for kind, text in found(cell.source).items()
        if kind in wanted
    ]
    assert findings == []


@each_notebook
def test_stderr_and_printed_tracebacks_come_with_a_reason(path: Path) -> None:
    without_reason = [
        cell.source
        for cell in code_cells(path)
        for output in cell.outputs
        if output.output_type == "stream" and (output.name == "stderr" or "Traceback (most recent" in output.text)
        if not cell.metadata.get("reason")
    ]
    assert without_reason == []


# --- what is stored is what runs --------------------------------------------------------------------------------------


@each_notebook
def test_the_file_is_a_valid_notebook(path: Path) -> None:
    nbformat.validate(copy.deepcopy(load(path)))


@each_notebook
def test_every_code_cell_has_been_run_in_order(path: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1)), (
        "run `make refresh`; nbval does not compare a cell without a count"
    )


@each_notebook
def test_the_file_is_as_make_refresh_stores_it(path: Path) -> None:
    notebook = copy.deepcopy(load(path))
    refresh.normalise(notebook, int(path.name[:2]))
    assert series.dump(notebook) == path.read_text(encoding="utf-8"), "run `make refresh`"


@each_notebook
def test_a_measured_picture_belongs_to_the_code_up_to_it(path: Path) -> None:
    cells = load(path).cells
    stale = [
        cell.source
        for index, cell in enumerate(cells)
        if "measured" in cell.metadata.get("tags", [])
        if cell.metadata.get("measured") != refresh.source_hash(cells, index)
    ]
    assert stale == [], "run `make refresh`"


@whole_series
def test_at_least_99_percent_of_the_code_cells_are_compared_strictly() -> None:
    cells = [cell for path in PATHS for cell in code_cells(path)]
    assert sum(map(compared_loosely, cells)) <= 0.01 * len(cells)


@each_notebook
def test_a_cell_that_is_not_compared_says_why(path: Path) -> None:
    assert [
        cell.source for cell in code_cells(path) if compared_loosely(cell) and not cell.metadata.get("reason")
    ] == []


# --- the series -------------------------------------------------------------------------------------------------------


@whole_series
def test_the_notebooks_are_numbered_from_00_without_gaps() -> None:
    assert [entry.number for entry in series.read_series()] == list(range(len(PATHS)))


@each_notebook
def test_bars_and_map_are_up_to_date(path: Path) -> None:
    notebook = copy.deepcopy(load(path))
    series.generate_cells(notebook, series.read_series(), PATHS.index(path))
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in load(path).cells], "run `make refresh`"


@whole_series
def test_the_map_in_the_readme_is_up_to_date() -> None:
    text = series.README.read_text(encoding="utf-8")
    assert series.generate_readme(text, series.read_series()) == text, "run `make refresh`"


@whole_series
def test_the_first_notebook_holds_the_map() -> None:
    assert [cell.metadata.get("generated") for cell in load(PATHS[0]).cells].count("map") == 1


# --- structure --------------------------------------------------------------------------------------------------------


@each_notebook
def test_a_bar_follows_the_title_and_ends_the_notebook(path: Path) -> None:
    cells = load(path).cells
    bars = [index for index, cell in enumerate(cells) if cell.metadata.get("generated") == "bar"]
    assert bars == [1, len(cells) - 1]


@each_notebook
def test_the_opening_states_the_minutes_of_the_metadata(path: Path) -> None:
    notebook = load(path)
    opening = notebook.cells[0].source + notebook.cells[2].source
    assert re.findall(r"(\d+) minutes", opening)[:1] == [str(notebook.metadata.course.minutes)]


@each_notebook
def test_exercises_a_recap_and_further_reading_close_the_notebook(path: Path) -> None:
    names = [name for _, name in headings(load(path))]
    wanted = ["Recap", "Further reading"] if path == PATHS[0] else ["Exercises", "Recap", "Further reading"]
    assert [name for name in names if name in wanted] == wanted


@each_notebook
def test_no_two_headings_are_alike(path: Path) -> None:
    names = [name for _, name in headings(load(path))]
    twice = sorted(name for name in set(names) if names.count(name) > 1)
    assert twice == [], "write another heading: a link to the second one would lead to the first"


@each_notebook
def test_a_notebook_has_25_to_65_cells(path: Path) -> None:
    fewest = 12 if path == PATHS[0] else 25
    count = len(load(path).cells)
    assert fewest <= count <= 65


@each_notebook
def test_code_cells_are_short(path: Path) -> None:
    counts = sorted(lines(cell) for cell in code_cells(path))
    assert statistics.median(counts) <= 4
    assert counts[math.ceil(0.9 * len(counts)) - 1] <= 10


@each_notebook
def test_code_comes_with_10_to_30_words_of_prose_a_line(path: Path) -> None:
    prose = " ".join(re.sub(r"<[^>]+>|\]\([^)]*\)", " ", without_blocks(cell.source)) for cell in markdown_cells(path))
    words = sum(bool(re.search(r"\w", word)) for word in prose.split())
    assert 10 <= words / sum(map(lines, code_cells(path))) <= 30


@each_notebook
def test_no_paragraph_sticks_to_a_folded_answer(path: Path) -> None:
    # JupyterLab leaves no room below one. A heading, a quotation and a further answer bring their own.
    below = [text for cell in markdown_cells(path) for text in re.findall(r"</details>\s+(.+)", cell.source)]
    assert [text for text in below if not text.startswith(("#", ">", "<details>"))] == []


@each_notebook
def test_the_question_of_a_folded_answer_is_html(path: Path) -> None:
    # Markdown means nothing there: backticks show as backticks.
    questions = [text for cell in markdown_cells(path) for text in re.findall(r"<summary>(.+?)</summary>", cell.source)]
    assert [text for text in questions if re.search(r"[`*]|\]\(", text)] == []


# --- links ------------------------------------------------------------------------------------------------------------

LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)|(?:href|src)=\"([^\"]+)\"")


def dead_links(document: Path, markdown: str) -> list[str]:
    """The relative links that lead to no file of the repository, or to no heading of a notebook."""
    targets = [unquote(a or b) for a, b in LINK.findall(without_code(markdown))]
    local = [target for target in targets if not re.match(r"https?://|mailto:|attachment:|data:", target)]
    return [target for target in local if not _resolves(document, target)]


def _resolves(document: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = (document.parent / name).resolve() if name else document
    if not file.is_relative_to(series.ROOT) or not file.exists():
        return False
    return not anchor or file.suffix != ".ipynb" or anchor in anchors(load(file))


@each_notebook
def test_links_lead_somewhere(path: Path) -> None:
    text = "\n\n".join(cell.source for cell in load(path).cells if cell.cell_type == "markdown")
    assert dead_links(path, text) == []


PAGES = [series.README, series.ERRORS, series.ROOT / "CONTRIBUTING.md", series.ROOT / "CHANGELOG.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert dead_links(page, page.read_text(encoding="utf-8")) == []


# --- what a cell does not do ------------------------------------------------------------------------------------------

SHELLS = {"system", "getoutput", "%bash", "%sh", "%script", "%system", "%sx", "%cmd", "%pip", "%conda", "%uv"}


@each_notebook
def test_no_cell_runs_a_shell_or_installs_anything(path: Path) -> None:
    assert [cell.source for cell in code_cells(path) if calls(cell) & SHELLS] == []


@each_notebook
def test_no_cell_waits_for_ever_or_erases_what_it_showed(path: Path) -> None:
    assert [cell.source for cell in code_cells(path) if calls(cell) & {"wait_for_termination", "clear_output"}] == []


@each_notebook
def test_no_cell_hides_its_value_with_a_semicolon(path: Path) -> None:
    # nbval shows the value all the same: write `_ = call()`.
    assert [cell.source for cell in code_cells(path) if re.search(r";\s*(#.*)?\Z", cell.source)] == []


# All learners of a class may share one machine, and its network.
OPEN_TO_OTHERS = re.compile(r"0\.0\.0\.0|\[::\]|\(\(?[\"']{2}, ?\d")
FIXED_PORT = re.compile(r"\bport ?= ?[1-9]|(?:add_(?:in)?secure_port|bind|create_server)\(.*[:,] ?[1-9]\d+")


@pytest.mark.parametrize(
    ("what", "source"),
    [
        (OPEN_TO_OTHERS, 'server.add_insecure_port("0.0.0.0:0")'),
        (OPEN_TO_OTHERS, 'server.add_insecure_port("[::]:0")'),
        (OPEN_TO_OTHERS, 'socket.create_server(("", 0))'),
        (FIXED_PORT, "BackgroundServer(TeamsServicer(), port=50052)"),
        (FIXED_PORT, 'server.add_insecure_port("127.0.0.1:50051")'),
        (FIXED_PORT, 'listener.bind(("127.0.0.1", 8080))'),
    ],
)
def test_a_server_in_a_neighbours_way_is_found(what: re.Pattern[str], source: str) -> None:
    assert what.search(source)


@each_notebook
def test_servers_listen_to_this_machine_alone_on_a_port_that_is_free(path: Path) -> None:
    listening = [cell.source for cell in code_cells(path)]
    assert [text for text in listening if OPEN_TO_OTHERS.search(text) or FIXED_PORT.search(text)] == []


@each_notebook
def test_teams_lib_is_imported_before_grpc(path: Path) -> None:
    # teams_lib sets what the C core reads from the environment as it loads.
    modules = [name for cell in code_cells(path) for name in imports(cell)]
    first_grpc = next((i for i, name in enumerate(modules) if re.match(r"grpc(?!_tools)|\w+_pb2_grpc$", name)), None)
    assert first_grpc is None or "teams_lib" in modules[:first_grpc]


def imports(cell: NotebookNode) -> list[str]:
    """The top-level modules that a cell imports, in order."""
    nodes = [node for node in ast.walk(syntax_of(cell)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names: list[str] = []
    for node in sorted(nodes, key=lambda node: node.lineno):
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return [name.split(".")[0] for name in names]


LEARNERS = {line.partition("==")[0] for line in (series.ROOT / "requirements.txt").read_text("utf-8").splitlines()}


@each_notebook
def test_a_cell_uses_nothing_that_only_maintainers_install(path: Path) -> None:
    run = {name for cell in code_cells(path) for name in re.findall(r'"-m", "(\w+)', cell.source)}
    packages = importlib.metadata.packages_distributions()
    modules = run | {name for cell in code_cells(path) for name in imports(cell)} - {"teams_lib"}
    homes = {name: {canonicalize_name(package) for package in packages.get(name, [])} for name in sorted(modules)}
    assert {name: home for name, home in homes.items() if home and not home & LEARNERS} == {}


@each_notebook
def test_the_prose_never_tells_a_reader_that_something_is_easy(path: Path) -> None:
    prose = "\n".join(re.sub(r"\]\([^)]*\)", "]", without_code(cell.source)) for cell in markdown_cells(path))
    assert re.findall(r"(?i)[^.\n]*\b(?:simply|just|obviously)\b[^.\n]*", prose) == []
