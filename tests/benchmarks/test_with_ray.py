"""The benchmarks that need Ray or an engine, at their tiniest: that they run, not how fast."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import embedding, finetuning, generation, prediction, small_work, startup

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.long]


@pytest.fixture
def line_of(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs a benchmark and reads the line that it leaves."""

    def run(main: Callable[[Sequence[str]], None], *words: str) -> dict[str, Any]:
        out = tmp_path / "out.jsonl"
        main([*words, f"--out={out}"])
        (line,) = out.read_text().splitlines()
        found: dict[str, Any] = json.loads(line)
        assert {"date", "commit", "machine", "versions"} <= found.keys()
        return found

    return run


def assert_rates(found: dict[str, Any], pairs: int) -> None:
    assert len(found["ours"]) == len(found["bare"]) == pairs
    ratios = [ours / bare for ours, bare in zip(found["ours"], found["bare"], strict=True)]
    assert found["ratio"]["min"] == pytest.approx(min(ratios))
    assert found["ratio"]["min"] > 0


def test_embedding(ray_local, line_of, capsys):
    sizes = ["--model=butterfly-clip", "--images=64", "--batch-size=8", "--pairs=1"]
    found = line_of(embedding.main, *sizes)
    assert_rates(found, 1)
    assert found["settings"]["model"] == "butterfly-clip"
    assert "butterfly-clip" in capsys.readouterr().out


def test_small_work(ray_local, line_of, capsys):
    found = line_of(small_work.main, "--pictures=20", "--rounds=1")
    assert found["pictures"] == 20
    for name in (small_work.ON_RAY_DATA, small_work.COLD, small_work.WARM):
        assert found[name]["seconds"][0] > 0
    assert found[small_work.ON_RAY_DATA]["ratio"]["median"] == 1
    assert "Ray Data's start" in capsys.readouterr().out


def test_finetuning(ray_local, line_of):
    found = line_of(finetuning.main, "--steps=5", "--batch-size=4", "--pictures=16", "--pairs=1")
    for name in ("one worker, bare loop", "two workers, twice one", "two bare loops, twice one"):
        assert_rates(found[name], 1)


def test_prediction(ray_local, line_of):
    sizes = ["--model=butterfly-clip", "--images=64", "--batch-size=8", "--pairs=1"]
    assert_rates(line_of(prediction.main, *sizes), 1)


def test_generation(ray_local, line_of):
    found = line_of(generation.main, "--prompts=64", "--max-num-seqs=16", "--pairs=1")
    assert_rates(found, 1)


def test_startup_accounts_for_the_time_until_the_first_row(line_of):
    found = line_of(startup.main, "--cases", "embed images")["embed images"]
    begun = {span["what"]: span["start"] for span in found["spans"]}
    assert begun["Ray starts"] < begun["warm worker: works"] < found["first_row_s"]
    explained = 0.0
    for span in sorted(found["spans"], key=lambda span: span["start"]):
        explained = max(explained, span["end"]) if span["start"] <= explained + 1 else explained
    assert explained >= found["first_row_s"]
