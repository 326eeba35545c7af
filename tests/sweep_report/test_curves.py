import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from gist_ray.errors import UserError
from gist_ray.sweep_report.curves import curves, line_points, main, write_curves
from gist_ray.sweep_report.factors import make_factor
from gist_ray.sweep_report.scores import Measure, Score, accuracy_measure
from gist_ray.sweep_report.tables import Trial, read_sweep


def tiny_trial(trial_id, seed, **params):
    return Trial(trial_id, "ok", "", params, seed, {}, 0, 0.0, 0, 0, {})


def measure_of(scores):
    return Measure("val accuracy", True, True, scores)


def written(path):
    root = ET.fromstring(path.read_text())
    return root, [text for e in root.iter() if (text := (e.text or "").strip("\u200b \n"))]


def test_a_point_is_the_mean_of_seeds_with_all_else_averaged_within_them():
    trials = [tiny_trial(f"{s}{b}", s, k=3, b=b) for s in (1, 2) for b in (0, 1)]
    measure = measure_of({"10": Score(0.1), "11": Score(0.3), "20": Score(0.5), "21": Score(0.7)})
    [point] = line_points(trials, measure, make_factor(trials, "k"), 0.95)
    # Student's t over 0.2 and 0.6, not over four numbers
    assert (point.x, point.mean) == (3, pytest.approx(0.4))
    assert point.high - point.mean == pytest.approx(12.706 * 0.2, rel=1e-3)


def test_one_trial_keeps_its_interval_over_test_images():
    trials = [tiny_trial("a", 1, k=3)]
    measure = measure_of({"a": Score(0.5, 0.45, 0.56)})
    [point] = line_points(trials, measure, make_factor(trials, "k"), 0.95)
    assert (point.mean, point.low, point.high) == (0.5, 0.45, 0.56)


def test_nothing_to_draw_is_none(fake_sweep, tmp_path):
    sweep = read_sweep(fake_sweep().write(tmp_path))
    assert curves(sweep.trials, accuracy_measure(sweep), "no.such.key", None) is None
    assert curves(sweep.trials, measure_of({}), "matching.k", None) is None


def test_the_command_writes_the_same_file_every_time(fake_sweep, tmp_path):
    folder = fake_sweep(shots=(1, 5, None)).write(tmp_path / "sweep")
    command = [sys.executable, "-m", "gist_ray.sweep_report.curves", folder]
    command += ["--x", "matching.k", "--by", "study.shots", "--out", str(tmp_path / "k.svg")]
    subprocess.run(command, check=True, timeout=120)
    first = (tmp_path / "k.svg").read_bytes()
    write_curves(folder, "matching.k", "study.shots", str(tmp_path / "k.svg"))
    assert (tmp_path / "k.svg").read_bytes() == first
    _, texts = written(tmp_path / "k.svg")
    assert {"k", "shots", "val accuracy, %", "full", "10"} <= set(texts)


def test_what_cannot_be_drawn_is_told(fake_sweep, tmp_path, monkeypatch, capsys):
    folder = fake_sweep().write(tmp_path)
    words = ["curves", folder, "--x", "matching.k", "--where", "a=b", "--out", f"{tmp_path}/k.svg"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == 2
    assert "no trial has val accuracy and values of matching.k where" in capsys.readouterr().err


def test_test_curves_of_another_head(fake_sweep, tmp_path):
    fake = fake_sweep(measure="test")
    write_curves(fake.write(tmp_path), "study.shots", None, str(tmp_path / "a.svg"))
    assert "test top-1 accuracy, %" in written(tmp_path / "a.svg")[1]
    with pytest.raises(UserError, match="no trial has test macro F1"):
        write_curves(
            str(tmp_path), "matching.k", None, str(tmp_path / "b.svg"), "no_head", "macro_f1"
        )


def test_where_keeps_some_trials(fake_sweep, tmp_path):
    folder = fake_sweep().write(tmp_path)
    for name, where in (("all", {}), ("one", {"finetune.loss": "multi"})):
        write_curves(folder, "matching.k", "finetune.loss", str(tmp_path / name), where=where)
    assert "infonce" in written(tmp_path / "all")[1]
    assert "infonce" not in written(tmp_path / "one")[1]


def test_names_of_any_kind_stay_text(fake_sweep, tmp_path):
    fake = fake_sweep(losses=("_hidden", "<script>alert(1)</script> $x_$ \x00"))
    write_curves(fake.write(tmp_path), "matching.k", "finetune.loss", str(tmp_path / "a.svg"))
    root, texts = written(tmp_path / "a.svg")
    assert "_hidden" in texts
    assert any(re.match(r"<script>alert\(1\)", text) for text in texts)
    assert not [element for element in root.iter() if "script" in element.tag.lower()]
