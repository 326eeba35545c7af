from pathlib import Path

import pytest

from benchmarks.growing import STAGES
from benchmarks.growth import measure, plot, summarise


@pytest.mark.parametrize("stage", ["clean texts", "match", "evaluate"])
def test_a_stage_is_measured(stage: str, tmp_path: Path) -> None:
    found = measure(stage, 100, tmp_path)
    assert found["rows"] == 100
    assert found["seconds"] > 0
    assert found["driver_mib"] > 100


def size(rows: int, seconds: float) -> dict[str, float]:
    return {"rows": rows, "seconds": seconds, "driver_mib": 100.0, "worker_mib": 0.0}


def test_what_starting_costs_is_taken_off() -> None:
    linear = summarise(size(25, 7.5), [size(100, 15), size(400, 45), size(1600, 165)])
    assert linear["seconds_per_row"] == pytest.approx([0.1, 0.1, 0.1])
    assert linear["growth"] == pytest.approx(0)
    assert linear["start_s"] == pytest.approx(5)
    worse = summarise(size(25, 7.5), [size(100, 15), size(400, 45), size(1600, 322.5)])
    assert worse["growth"] == pytest.approx(1)


def test_the_figure_has_every_stage(tmp_path: Path) -> None:
    found = summarise(size(25, 7.5), [size(100, 15), size(400, 45), size(1600, 165)])
    plot(dict.fromkeys(STAGES, found), tmp_path / "growth.svg")
    assert (tmp_path / "growth.svg").stat().st_size > 10_000
