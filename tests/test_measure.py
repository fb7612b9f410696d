"""make measure: what it measures the suite against, and that a word that names nothing is told those that do."""

from pathlib import Path
from types import ModuleType

from tests.needs import need_module
from tools import series

import pytest


@pytest.fixture
def measure() -> ModuleType:
    pytest.importorskip("resource", reason="Windows has none")
    need_module("playwright")
    from tools import measure

    return measure


def test_the_floor_has_as_many_cells_to_run_as_the_course_each_with_what_it_shows(
    measure: ModuleType, tmp_path: Path
) -> None:
    counts = measure.write_floor(tmp_path)
    for entry in series.read_series():
        course, floor = (series.load(folder / entry.path.name).cells for folder in (series.NOTEBOOKS, tmp_path))
        assert counts[entry.path.name] == len(floor) == sum(cell.cell_type == "code" for cell in course)
        assert [cell.outputs[0].data["text/plain"] for cell in floor] == [cell.source for cell in floor]


def test_a_word_that_names_nothing_to_measure_is_told_those_that_do(
    measure: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        measure.main(["suit"])
    assert "there is nothing to measure by the name of suit: first, suite" in capsys.readouterr().err
