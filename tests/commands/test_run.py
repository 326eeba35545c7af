"""`gist_ray.run`: what it starts, and what a finished run gives."""

from pathlib import Path

import pandas as pd
import pytest

import gist_ray as gr
from gist_ray.commands.finished import FinishedRun


def test_a_wrong_setting_is_raised_and_does_not_exit() -> None:
    with pytest.raises(gr.UserError, match=r"matching\.kk: there is no such setting"):
        gr.run(["matching.kk=1"])


def test_settings_and_ones_own_groups_reach_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "matching"
    folder.mkdir()
    (folder / "mine.yaml").write_text("k: 7\n")
    seen = []
    monkeypatch.setattr("gist_ray.commands.run.run_study", seen.append)
    found = gr.run(["matching=mine", "name=leaves", f"root={tmp_path}"], config_dir=tmp_path)
    assert seen[0].matching.k == 7
    assert found == FinishedRun(str(tmp_path), "leaves")


def test_a_finished_run_gives_its_metrics_as_pandas(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "leaves"
    folder.mkdir(parents=True)
    rows = pd.DataFrame({"metric": ["top1"], "value": [0.5]})
    rows.to_parquet(folder / "metrics.parquet")
    run = FinishedRun(str(tmp_path), "leaves")
    pd.testing.assert_frame_equal(run.metrics, rows)
    assert run.folder == str(folder)
    assert run.report == str(folder / "report.html")
