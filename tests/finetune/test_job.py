import pytest

from gist_ray.encoders.config import ClipConfig
from gist_ray.finetune.job import seen_from_anywhere


def test_a_model_in_a_folder_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    near = ClipConfig(model="local-dir:data/clip", pretrained="x")
    assert seen_from_anywhere(near).model == f"local-dir:{tmp_path}/data/clip"
    assert seen_from_anywhere(near).pretrained == "x"


@pytest.mark.parametrize("model", ["ViT-B-32", "hf-hub:o/n", "local-dir:s3://b/c", "local-dir:/c"])
def test_other_models_are_named_as_they_were(model):
    assert seen_from_anywhere(ClipConfig(model=model)).model == model
