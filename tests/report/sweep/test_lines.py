import pytest

from gist_ray.report.sweep.factors import make_factor
from gist_ray.report.sweep.lines import line_figure, line_points
from gist_ray.report.sweep.scores import Measure, Score, accuracy_measure
from gist_ray.report.sweep.tables import Trial, read_sweep


def tiny_trial(trial_id, seed, **params):
    return Trial(trial_id, "ok", "", params, seed, seed, {}, 0, 0.0, 0, 0, {})


def measure_of(scores):
    return Measure("val accuracy", True, "%", scores)


def test_a_point_is_the_mean_of_seeds_with_all_else_averaged_within_them():
    trials = [tiny_trial(f"{s}{b}", s, k=3, b=b) for s in (1, 2) for b in (0, 1)]
    measure = measure_of(
        {"10": Score(0.4), "11": Score(0.42), "20": Score(0.44), "21": Score(0.46)}
    )
    [point] = line_points(trials, measure, make_factor(trials, "k"), confidence=0.95)
    # Student's t over 0.41 and 0.45, not over four numbers
    assert (point.x, point.mean) == (3, pytest.approx(0.43))
    assert point.high - point.mean == pytest.approx(12.706 * 0.02, rel=1e-3)


def test_one_trial_keeps_its_interval_over_test_images():
    trials = [tiny_trial("a", 1, k=3)]
    measure = measure_of({"a": Score(0.5, 0.45, 0.56)})
    [point] = line_points(trials, measure, make_factor(trials, "k"), confidence=0.95)
    assert (point.mean, point.low, point.high) == (0.5, 0.45, 0.56)


def test_nothing_to_draw_is_none(fake_sweep, tmp_path):
    sweep = read_sweep(fake_sweep().write(tmp_path))
    assert (
        line_figure(sweep.trials, accuracy_measure(sweep), "no.such.key", by=None, confidence=0.95)
        is None
    )
    assert line_figure(sweep.trials, measure_of({}), "matching.k", by=None, confidence=0.95) is None


def test_any_number_of_lines_and_values_fits(fake_sweep, tmp_path):
    fake = fake_sweep(ks=tuple(range(1, 31)), losses=("a",), shots=(1, 5))
    sweep = read_sweep(fake.write(tmp_path))
    figure = line_figure(
        sweep.trials, accuracy_measure(sweep), "study.shots", by="matching.k", confidence=0.95
    )
    [axes] = figure.axes
    assert len(axes.get_lines()) == 8
    figure = line_figure(
        sweep.trials, accuracy_measure(sweep), "matching.k", by="study.shots", confidence=0.95
    )
    assert len(figure.axes[0].get_lines()) == 2
