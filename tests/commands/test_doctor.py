import argparse
from collections.abc import Iterator

import pytest

from gist_ray.commands import doctor
from gist_ray.operate.checkup.finding import Finding


def test_only_a_problem_makes_it_exit_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Finding("ok", "CPUs", "2"), Finding("warning", "memory", "1 GB", "Buy some.")]
    monkeypatch.setattr(doctor, "findings", lambda: iter(found))
    doctor.run(argparse.Namespace())
    found.append(Finding("problem", "sockets", "too long", "Shorten it."))
    with pytest.raises(SystemExit) as stopped:
        doctor.run(argparse.Namespace())
    assert stopped.value.code == 1
    said = capsys.readouterr().out
    assert "warning  memory         1 GB\n                        Buy some.\n" in said
    assert "1 problem would stop a run." in said


def test_a_torch_that_is_broken_does_not_end_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Finding]:
        raise OSError("libcudart.so")

    monkeypatch.setattr("gist_ray.operate.checkup.machine.gpus", broken)
    monkeypatch.setattr("gist_ray.operate.checkup.software.imports", lambda: [])
    monkeypatch.setattr(
        "gist_ray.operate.checkup.services.s3", lambda: Finding("ok", "S3", "not asked")
    )
    found = {one.subject: one for one in doctor.findings()}
    assert found["GPUs"].level == "problem"
    assert found["S3"].level == "ok"
