from itertools import count

import pytest

from gist_ray.run.progress import Progress, StageProgress, duration


@pytest.mark.parametrize(
    ("seconds", "words"), [(7.4, "7 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_rows_of_an_earlier_run_do_not_count_for_the_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 0.0, 10.0, 10.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    progress = Progress(interval_s=1)
    meter = progress.rows("embed images", 1000, "images", already=900)
    meter.add(50, {"corrupt": 2}, tokens=700)
    line = capsys.readouterr().out
    assert "950/1,000 images  5.0 images/s  70 tokens/s  2 failed  ETA 10 s" in line
    (stage,) = progress.stages()
    assert (stage.done, stage.already, stage.total, stage.rate) == (950, 900, 1000, 5.0)
    assert stage.failed == {"corrupt": 2}
    assert stage.counts == {"tokens": 700}


def test_rows_that_come_at_once_have_no_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 0.0, 0.001, 0.001])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    progress = Progress(interval_s=0)
    progress.rows("finetune", 12, "steps", already=4).add(8)
    assert "12/12 steps\n" in capsys.readouterr().out
    assert progress.stages()[0].rate is None


def test_a_training_shows_its_loss(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = count(0.0, 5.0)
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    progress = Progress(interval_s=0)
    meter = progress.rows("finetune", 12, "steps", already=4)
    meter.add(0, values={"loss": 2.5})
    # nothing is known yet of how fast it is
    assert capsys.readouterr().out.rstrip().endswith("4/12 steps  loss 2.5")
    meter.add(4, values={"loss": 1.25, "val score": 0.5})
    line = capsys.readouterr().out
    assert "8/12 steps" in line
    assert "loss 1.25  val score 0.5" in line
    assert "ETA" in line


def test_a_stage_that_breaks_has_failed() -> None:
    progress = Progress()
    with progress.running("a", "fake", "/a"):
        assert [stage.outcome for stage in progress.stages()] == ["running"]

    def breaks() -> None:
        with progress.running("b", "fake", "/b"):
            progress.rows("b", 10, "rows").add(1)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        breaks()
    made, failed = progress.stages()
    assert (made.outcome, failed.outcome) == ("made", "failed")
    assert failed.done == 1
    assert failed.seconds is not None


def test_who_listens_is_told_of_what_was_measured_and_of_nothing_else() -> None:
    told: list[StageProgress] = []
    progress = Progress(measured=told.append)
    with progress.running("finetune gist", "finetuned", "root/artifacts/finetuned/abc"):
        meter = progress.rows("finetune gist", 8, "steps")
        meter.add(2)
        meter.add(2, values={"epoch": 1, "loss": 0.5})
        meter.add(4, values={"epoch": 2, "loss": 0.25})
    assert [state.values for state in told] == [
        {"epoch": 1, "loss": 0.5},
        {"epoch": 2, "loss": 0.25},
    ]
    assert {state.uri for state in told} == {"root/artifacts/finetuned/abc"}
