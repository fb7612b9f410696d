"""The index from error texts to lessons: what it holds, where it leads, and what explain() makes of it."""

import json
import re
import threading
from collections import Counter
from pathlib import Path

from teams_lib import BackgroundServer, TeamsServicer, explain, teams_pb2, teams_pb2_grpc
from teams_lib.trouble import Entry, read_index
from tools import series

import grpc
import pytest
from nbformat import NotebookNode

# What bites people most often, from the issue trackers of gRPC, protobuf and their users; each with its notebook.
BITES = {
    "generated-import": 2,
    "grpcio-version": 2,
    "gencode-runtime": 2,
    "duplicate-file": 2,
    "two-servers-one-port": 3,
    "rebind-at-once": 13,
    "port-taken": 3,
    "running-loop": 12,
    "other-loop": 12,
    "sync-stub-on-loop": 12,
    "many-loops": 12,
    "fork": 14,
    "exit-hangs": 14,
    "pool-starved": 7,
    "handler-runs-on": 10,
    "no-deadline": 10,
    "message-too-large": 6,
    "start-order": 4,
    "http-proxy": 4,
    "localhost": 4,
    "too-many-pings": 13,
    "one-backend": 13,
    "tls-names": 14,
    "exception-leaks": 9,
    "stub-types": 14,
    "retry-policy-ignored": 14,
    "misspelt-option": 13,
}
INDEX = read_index()
each_entry = pytest.mark.parametrize("entry", INDEX, ids=lambda entry: entry.id)


def text_of(cell: NotebookNode) -> str:
    """What a cell shows as text, on one line."""
    texts = []
    for output in cell.outputs:
        texts += [output.get("text", ""), output.get("data", {}).get("text/plain", ""), output.get("evalue", "")]
        texts += output.get("traceback", [])
    return " ".join(" ".join(texts).split())


def cell_of(entry: Entry) -> NotebookNode:
    cells = series.load(series.NOTEBOOKS / entry.notebook).cells
    [cell] = [c for c in cells if entry.id in (item["id"] for item in c.metadata.get("trouble", []))]
    return cell


# --- the entries ------------------------------------------------------------------------------------------------------


def test_every_bite_is_shown_in_its_notebook() -> None:
    shown = {entry.id: int(entry.notebook[:2]) for entry in INDEX}
    assert {name: shown.get(name) for name in BITES} == BITES


def test_no_two_entries_share_an_id() -> None:
    assert [name for name, count in Counter(entry.id for entry in INDEX).items() if count > 1] == []


def test_no_two_entries_claim_the_same_text() -> None:
    assert [text for text, count in Counter(e.text.lower() for e in INDEX if e.text).items() if count > 1] == []


@each_entry
def test_the_text_of_an_entry_stands_in_the_output_of_its_cell(entry: Entry) -> None:
    assert " ".join(entry.text.split()) in text_of(cell_of(entry))


@each_entry
def test_a_text_is_long_enough_to_tell_errors_apart(entry: Entry) -> None:
    assert not entry.text or len(entry.text) >= 12


@each_entry
def test_the_cell_of_an_entry_shows_something(entry: Entry) -> None:
    assert cell_of(entry).outputs, "a cell without output shows no failure"


@each_entry
def test_an_entry_speaks_in_whole_sentences(entry: Entry) -> None:
    for sentence in (entry.cause, entry.mend):
        assert re.fullmatch(r"\S.*[.?]", sentence), sentence
    assert not entry.symptom.endswith(".")


# --- errors.md --------------------------------------------------------------------------------------------------------


def test_the_page_is_up_to_date() -> None:
    assert series.ERRORS.read_text(encoding="utf-8") == series.errors_page(INDEX), "run `make refresh`"


def test_every_entry_is_a_row_of_the_page() -> None:
    rows = [line for line in series.ERRORS.read_text(encoding="utf-8").splitlines() if re.search(r"\.ipynb#", line)]
    assert len(rows) == len(INDEX)
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}


# --- explain() --------------------------------------------------------------------------------------------------------


@each_entry
def test_explain_finds_each_text_again(entry: Entry) -> None:
    if entry.text:
        assert entry in explain(f"a line before\n>>> {entry.text} and more").entries


@pytest.fixture(scope="module")
def refused() -> grpc.RpcError:
    with BackgroundServer(TeamsServicer()) as server:
        address = server.address
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        teams_pb2_grpc.TeamsStub(channel).GetTeam(teams_pb2.TeamRequest(city="Boston"), timeout=5)
    return caught.value


def test_explain_takes_an_error_that_was_caught(refused: grpc.RpcError) -> None:
    assert [entry.id for entry in explain(refused).entries] == ["start-order"]


def test_explain_takes_the_error_of_a_stream_that_was_cancelled() -> None:
    with BackgroundServer(TeamsServicer()) as server, grpc.insecure_channel(server.address) as channel:
        stream = teams_pb2_grpc.TeamsStub(channel).ListTeams(teams_pb2.ListTeamsRequest(), timeout=5)
        stream.cancel()
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(explain(caught.value).error), daemon=True)
        thread.start()
        thread.join(timeout=5)
    assert "CANCELLED" in found[0], "its debug_error_string() never comes"


def test_explain_takes_any_exception() -> None:
    error = ModuleNotFoundError("No module named 'roster_pb2'")
    assert [entry.id for entry in explain(error).entries] == ["generated-import"]


def test_explain_overlooks_numbers_case_and_line_breaks() -> None:
    pasted = "details = received MESSAGE\n   larger than max (8000000 vs. 1048576)".replace("details = ", "SERVER: ")
    assert "message-too-large" in [entry.id for entry in explain(pasted).entries]


def test_a_connection_that_the_server_refuses_is_not_taken_for_a_server_that_is_down() -> None:
    pasted = "failed to connect to all addresses; last error: UNAVAILABLE: ipv4:10.0.0.7:443: Socket closed"
    assert [entry.id for entry in explain(pasted).entries] == ["tls-door-shut"]


def test_what_grpc_says_in_other_words_on_windows_is_found_too() -> None:
    assert [entry.id for entry in explain("UNAVAILABLE · Stream removed (End of TCP stream)").entries] == [
        "socket-closed"
    ]
    pasted = "failed to connect to all addresses; last error: UNAVAILABLE: ipv4:10.0.0.7:443: End of TCP stream"
    assert [entry.id for entry in explain(pasted).entries] == ["tls-door-shut"]


def test_what_a_longer_entry_explains_is_told_apart_from_the_same_words_elsewhere() -> None:
    pasted = "failed to connect to all addresses; last error: UNAVAILABLE: unix:/teams: Socket closed"
    entries = explain(f"{pasted}\nlater: Stream removed (Socket closed)").entries
    assert [entry.id for entry in entries] == ["tls-door-shut", "socket-closed"]


def test_an_explanation_says_why_what_to_do_and_where(refused: grpc.RpcError) -> None:
    assert repr(explain(refused)) == (
        "failed to connect to all addresses\n"
        "  why:     Nobody listens at the address: the server isn't up yet, or the address is wrong.\n"
        "  way out: Start the server first, or wait for it with wait_for_ready=True and a timeout.\n"
        "  lesson:  04, Which line fails?"
    )


def test_in_a_notebook_an_explanation_links_to_the_lesson(refused: grpc.RpcError) -> None:
    assert "[04, Which line fails?](04_client_calls.ipynb#Which-line-fails?)" in explain(refused)._repr_markdown_()


def test_explain_says_plainly_that_it_does_not_know() -> None:
    explanation = explain(KeyError("Atlantis"))
    assert explanation.entries == ()
    assert repr(explanation) == (
        "The course does not know this error: \"KeyError: 'Atlantis'\".\nLook for a shorter part of it in errors.md."
    )
    assert "[errors.md](errors.md)" in explanation._repr_markdown_()


def test_a_log_with_many_errors_gets_the_three_most_specific() -> None:
    log = "\n".join(entry.text for entry in INDEX)
    lengths = [len(entry.text) for entry in explain(log).entries]
    assert len(lengths) == 3
    assert lengths == sorted((len(entry.text) for entry in INDEX), reverse=True)[:3]


def test_without_notebooks_explain_says_where_its_index_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No notebooks in .*: explain\(\) finds its index there"):
        read_index(tmp_path)


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "both", "text": "an error text", "symptom": "and a symptom", "cause": "Why.", "mend": "How."},
        {"id": "neither", "cause": "Why.", "mend": "How."},
        {"id": "no-way-out", "text": "an error text", "cause": "Why."},
    ],
    ids=lambda entry: entry["id"],
)
def test_an_incomplete_entry_is_refused(tmp_path: Path, entry: dict[str, str]) -> None:
    cell = {"cell_type": "code", "source": [], "metadata": {"trouble": [entry]}}
    (tmp_path / "01_sample.ipynb").write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"01_sample\.ipynb: an entry of `trouble` has"):
        read_index(tmp_path)
