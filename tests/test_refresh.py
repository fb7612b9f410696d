"""``make refresh``: what it keeps of a notebook, what it removes, and that doing it twice changes nothing."""

import copy
from pathlib import Path

from tests import checkout
from tools import refresh, series

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

PICTURE = {"image/png": "b2xk", "text/plain": "calls by backend"}


def measured(source: str, picture: str, measured: str | None = None) -> NotebookNode:
    metadata = {"tags": ["measured"]} | ({"measured": measured} if measured else {})
    output = new_output("display_data", {**PICTURE, "image/png": picture}, metadata={"image/png": {"alt": picture}})
    notebook: NotebookNode = new_notebook(cells=[new_code_cell(source, metadata=metadata, outputs=[output])])
    return notebook


def picture_of(notebook: NotebookNode) -> str:
    return str(notebook.cells[0].outputs[0].data["image/png"])


def test_normalising_twice_is_normalising_once() -> None:
    notebook = new_notebook(cells=[new_markdown_cell("# A"), new_code_cell("1"), new_code_cell("1")])
    for cell in notebook.cells:
        cell.id = "same"
    refresh.normalise(notebook, 3)
    once = copy.deepcopy(notebook)
    refresh.normalise(notebook, 3)
    assert notebook == once
    assert len({cell.id for cell in notebook.cells}) == 3


def test_only_metadata_with_a_meaning_stays() -> None:
    notebook = new_notebook(
        metadata={"course": {"part": 1}, "widgets": {}, "language_info": {"name": "python", "version": "3.11.7"}},
        cells=[new_code_cell("1", metadata={"tags": ["measured"], "reason": "x", "trusted": True, "execution": {}})],
    )
    refresh.normalise(notebook, 3)
    assert set(notebook.metadata) == {"course", "kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert notebook.cells[0].metadata == {"tags": ["measured"], "reason": "x"}


def test_neighbours_of_one_stream_are_joined() -> None:
    streams = [new_output("stream", name=name, text=name) for name in ("stdout", "stdout", "stderr", "stdout")]
    notebook = new_notebook(cells=[new_code_cell("1", outputs=streams)])
    refresh.normalise(notebook, 3)
    assert [output.text for output in notebook.cells[0].outputs] == ["stdoutstdout", "stderr", "stdout"]


def test_a_traceback_keeps_the_frames_in_cells_and_the_message() -> None:
    frames = [
        "\x1b[36mCell\x1b[39m In[1], line 1",
        "\x1b[36mFile \x1b[39m~/x.py:3, in f",
        "\x1b[31mKeyError\x1b[39m: 1",
    ]
    error = new_output("error", ename="KeyError", evalue="1", traceback=frames)
    notebook = new_notebook(cells=[new_code_cell("1", outputs=[error])])
    refresh.normalise(notebook, 3)
    assert notebook.cells[0].outputs[0].traceback == ["Cell In[1], line 1", "KeyError: 1"]


def test_a_measured_picture_is_kept_while_its_source_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REMEASURE", raising=False)
    again = measured("draw()", "bmV3")
    stored = measured("draw()", "b2xk", refresh.source_hash(again.cells, 0))
    refresh.keep_measured(stored, again)
    assert picture_of(again) == "b2xk"
    assert again.cells[0].outputs[0].metadata["image/png"].alt == "b2xk"


def test_a_picture_is_drawn_again_when_the_code_before_it_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REMEASURE", raising=False)
    stored, changed = measured("draw(rates)", "b2xk"), measured("draw(rates)", "bmV3")
    for notebook, rounds in ((stored, 3), (changed, 9)):
        notebook.cells.insert(0, new_code_cell(f"rates = measure(rounds={rounds})"))
    stored.cells[1].metadata["measured"] = refresh.source_hash(stored.cells, 1)
    refresh.keep_measured(stored, changed)
    assert changed.cells[1].outputs[0].data["image/png"] == "bmV3"


def test_a_changed_source_or_remeasure_draws_a_new_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REMEASURE", raising=False)
    changed = measured("draw(more=True)", "bmV3")
    stored = measured("draw()", "b2xk", refresh.source_hash(measured("draw()", "").cells, 0))
    refresh.keep_measured(stored, changed)
    assert picture_of(changed) == "bmV3"

    monkeypatch.setenv("REMEASURE", "1")
    asked = measured("draw()", "bmV3")
    refresh.keep_measured(stored, asked)
    assert picture_of(asked) == "bmV3"


def test_a_broken_cell_is_named_with_its_source_and_error(tmp_path: Path) -> None:
    notebook = new_notebook(cells=[new_markdown_cell("# A"), new_code_cell("1 / 0")])
    with pytest.raises(refresh.BrokenCellError, match=r"(?s)cell 2 failed.*1 / 0.*ZeroDivisionError: division by zero"):
        refresh.execute(notebook, tmp_path)


@pytest.mark.parametrize(
    ("name", "title", "course", "message"),
    [
        ("first.ipynb", "# 0 · A", {"part": 1, "minutes": 5, "about": "Read"}, "name it NN_snake_case.ipynb"),
        ("00_first.ipynb", "A", {"part": 1, "minutes": 5, "about": "Read"}, "begin the first cell with '# 0 · "),
        ("15_last.ipynb", "# A", {"part": 1, "minutes": 5, "about": "Read"}, "begin the first cell with '# 15 · "),
        ("00_first.ipynb", "# 0 · A", {"part": 9, "minutes": 5, "about": "Read"}, "its metadata needs"),
        ("00_first.ipynb", "# 0 · A", {}, "its metadata needs"),
    ],
)
def test_a_notebook_outside_the_series_is_told_what_it_lacks(
    tmp_path: Path, name: str, title: str, course: dict[str, object], message: str
) -> None:
    notebook = new_notebook(cells=[new_markdown_cell(title)], metadata={"course": course})
    (tmp_path / name).write_text(series.dump(notebook), encoding="utf-8")
    with pytest.raises(series.SeriesError, match=message):
        series.read_series(tmp_path)


def test_an_incomplete_entry_of_the_trouble_index_is_named_before_anything_runs(tmp_path: Path) -> None:
    folder = checkout.copy(tmp_path)
    path = next((folder / "notebooks").glob("01_*.ipynb"))
    notebook = series.load(path)
    notebook.cells[3].metadata["trouble"] = [{"id": "half", "text": "an error text"}]
    path.write_text(series.dump(notebook), encoding="utf-8")
    shown = checkout.run(folder, "tools.refresh")
    assert shown.returncode == 1
    assert shown.stderr.startswith(
        f"{path.name}: an entry of `trouble` has an id, a text or a symptom, a cause, a mend"
    )
    assert len(shown.stderr.splitlines()) == 1
