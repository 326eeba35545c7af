import pytest
import yaml

from gist_ray.errors import UserError
from gist_ray.llm import smollm2
from gist_ray.llm.config import LlmConfig, model_problems, model_source
from gist_ray.settings.configs import CONFIGS

SHIPPED = sorted((CONFIGS / "llm").glob("*.yaml"))


def test_there_are_shipped_configs():
    assert "smollm2" in [path.stem for path in SHIPPED]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_config_is_right(path):
    assert model_problems(LlmConfig(**yaml.safe_load(path.read_text()))) == []


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("./nowhere/model", "no folder ./nowhere/model"),
        ("smolm2", "'smolm2' is neither the packaged model"),
    ],
)
def test_a_model_that_does_not_exist(model, message):
    with pytest.raises(UserError, match=message):
        model_source(LlmConfig(model=model))


def test_a_folder_must_hold_a_model(tmp_path):
    llm = LlmConfig(model=str(tmp_path))
    assert "has no config.json" in model_problems(llm)[0]
    (tmp_path / "config.json").write_text("{}")
    assert model_source(llm) == str(tmp_path)


@pytest.mark.parametrize("model", ["Qwen/Qwen2.5-7B-Instruct", "s3://bucket/models/qwen"])
def test_a_remote_model_is_left_to_vllm(model):
    assert model_source(LlmConfig(model=model)) == model


def test_the_packaged_model_is_converted(monkeypatch):
    monkeypatch.setattr(smollm2, "convert", lambda: "/cache/model")
    assert model_source(LlmConfig()) == "/cache/model"


def test_several_gpus_are_whole():
    with pytest.raises(ValueError, match="must be a whole number above 1"):
        LlmConfig(gpus_per_replica=1.5)
    assert LlmConfig(gpus_per_replica=0.5).gpus_per_replica == 0.5
