import pytest

from gist_ray.progress import Progress, duration


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
    meter = Progress(interval_s=1).rows("embed images", 1000, "images", already=900)
    meter.add(50, failed=2, tokens=700)
    line = capsys.readouterr().out
    assert "950/1,000 images  5.0 images/s  70 tokens/s  2 failed  ETA 10 s" in line
