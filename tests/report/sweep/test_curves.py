import re
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ET

import pytest

from gist_ray.report.sweep.curves import curves, main
from gist_ray.report.sweep.scores import accuracy_measure
from gist_ray.report.sweep.tables import read_sweep


def written(path):
    root = ET.fromstring(path.read_text())
    return root, [text for e in root.iter() if (text := (e.text or "").strip("\u200b \n"))]


def test_the_command_writes_the_same_file_every_time(fake_sweep, tmp_path):
    folder = fake_sweep(shots=(1, 5, None)).write(tmp_path / "sweep")
    command = [sys.executable, "-m", "gist_ray.report.sweep.curves", folder]
    command += ["--x", "matching.k", "--by", "study.shots", "--out", str(tmp_path / "k.svg")]
    subprocess.run(command, check=True, timeout=120)
    first = (tmp_path / "k.svg").read_bytes()
    sweep = read_sweep(folder)
    assert curves(sweep, accuracy_measure(sweep), "matching.k", by="study.shots").encode() == first
    _, texts = written(tmp_path / "k.svg")
    assert {"k", "shots", "val accuracy, %", "full", "10"} <= set(texts)


def run_main(monkeypatch, folder, out, *words):
    monkeypatch.setattr(sys, "argv", ["curves", folder, "--out", str(out), *words])
    main()
    return written(out)


def test_what_cannot_be_drawn_is_told(fake_sweep, tmp_path, monkeypatch, capsys):
    folder = fake_sweep().write(tmp_path)
    with pytest.raises(SystemExit) as exit_info:
        run_main(monkeypatch, folder, tmp_path / "k.svg", "--x", "matching.k", "--where", "a=b")
    assert exit_info.value.code == 2
    assert "no trial has val accuracy and matching.k where a=b" in capsys.readouterr().err
    assert not (tmp_path / "k.svg").exists()


def test_test_curves_stand_beside_the_model_as_it_came(fake_sweep, tmp_path, monkeypatch):
    folder = fake_sweep(measure="test").write(tmp_path)
    _, texts = run_main(monkeypatch, folder, tmp_path / "a.svg", "--x", "study.shots")
    assert {"test top-1 accuracy, %", "frozen"} <= set(texts)
    words = ("--x", "matching.k", "--gain", "--metric", "macro_f1")
    _, texts = run_main(monkeypatch, folder, tmp_path / "b.svg", *words)
    assert "gain in test macro F1, points" in texts
    assert "frozen" not in texts
    with pytest.raises(SystemExit):
        run_main(monkeypatch, folder, tmp_path / "c.svg", "--x", "matching.k", "--head", "none")


def test_where_keeps_some_trials(fake_sweep, tmp_path, monkeypatch):
    folder = fake_sweep().write(tmp_path)
    words = ("--x", "matching.k", "--by", "finetune.loss")
    assert "infonce" in run_main(monkeypatch, folder, tmp_path / "a.svg", *words)[1]
    words += ("--where", "finetune.loss=multi", "study.shots=1")
    assert "infonce" not in run_main(monkeypatch, folder, tmp_path / "b.svg", *words)[1]


def test_names_of_any_kind_stay_text(fake_sweep, tmp_path, monkeypatch):
    fake = fake_sweep(losses=("_蝶_hidden", "<script>alert(1)</script> $x_$ \x00"))
    words = ("--x", "matching.k", "--by", "finetune.loss")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        root, texts = run_main(monkeypatch, fake.write(tmp_path), tmp_path / "a.svg", *words)
    assert "_蝶_hidden" in texts
    assert any(re.match(r"<script>alert\(1\)", text) for text in texts)
    assert not [element for element in root.iter() if "script" in element.tag.lower()]
