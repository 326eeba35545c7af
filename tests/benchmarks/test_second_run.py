from pathlib import Path

from benchmarks.second_run import STEPS, first_run, run_with_steps


def test_every_step_of_a_second_run_is_timed_and_nothing_is_made(tmp_path: Path) -> None:
    first_run(tmp_path, num_images=400, num_classes=4, texts_each=6, dim=16)
    stored = set((tmp_path / "store/artifacts").glob("*/*/artifact.json"))
    times = {file: file.stat().st_mtime_ns for file in stored}
    found = run_with_steps(tmp_path)
    assert set(STEPS.values()) < set(found)
    assert set((tmp_path / "store/artifacts").glob("*/*/artifact.json")) == stored
    assert {file: file.stat().st_mtime_ns for file in stored} == times
    assert (tmp_path / "store/runs/second_run/report.html").exists()
