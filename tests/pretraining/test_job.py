import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from gist_ray.demo.butterflies.corpus import corpus_pairs, corpus_rows
from gist_ray.demo.butterflies.pictures import write_pictures
from gist_ray.encoders.clip import embedded_folder, load_clip
from gist_ray.encoders.config import ClipConfig
from gist_ray.errors import UserError
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.pretraining.config import PretrainConfig
from gist_ray.pretraining.job import pretraining_job, write_architecture
from gist_ray.pretraining.quality import butterfly_quality
from gist_ray.run.job import folders_of
from gist_ray.run.run_job import run_job

CONFIGS = Path(__file__).parents[2] / "configs"


def shipped_recipe(**options: object) -> PretrainConfig:
    base = yaml.safe_load((CONFIGS / "pretrain.yaml").read_text())
    base.pop("defaults")
    tune = yaml.safe_load((CONFIGS / "finetune" / "pretrain.yaml").read_text())
    tune |= options.pop("finetune", {})
    return PretrainConfig(**(base | {"finetune": FinetuneConfig(**tune)} | options))


def test_the_recipe_makes_the_architecture_that_is_shipped(tmp_path):
    write_architecture(shipped_recipe(), tmp_path)
    ours = json.loads((tmp_path / "open_clip_config.json").read_text())
    shipped = json.loads(Path(embedded_folder(), "open_clip_config.json").read_text())
    assert ours["model_cfg"] == shipped["model_cfg"]
    for key, value in ours["preprocess_cfg"].items():
        assert shipped["preprocess_cfg"][key] == value
    tokenizers = [Path(f, "tokenizer.json").read_bytes() for f in (tmp_path, embedded_folder())]
    assert tokenizers[0] == tokenizers[1]
    clip = load_clip(ClipConfig(model=f"local-dir:{tmp_path}"), random_weights=True)
    assert sum(p.numel() for p in clip.model.parameters()) == pytest.approx(4.7e6, rel=0.05)


def test_the_shipped_weights_know_what_they_were_taught(tmp_path):
    """On 100 unseen pictures; random weights find 1 of 100 and name 1 of 12 colours."""
    rows = corpus_rows(100, seed=123, split="held_out")
    write_pictures(rows, str(tmp_path))
    uris = corpus_pairs(rows, str(tmp_path)).column("uri").to_pylist()
    quality = butterfly_quality(load_clip(ClipConfig()), rows, uris)
    assert quality["R@1"] > 0.7
    assert quality["R@1"] <= quality["R@5"]
    assert quality["zero-shot forewing (1 of 12)"] > 0.5
    assert quality["zero-shot background (1 of 7)"] > 0.8


def test_every_node_has_to_see_the_root_and_the_table_of_captions(tmp_path):
    images = ["a.png", "b.png", "c.png"]
    columns = {"image": images, "captions": [["a"]] * 3, "split": ["train", "val", "test"]}
    file = f"{tmp_path}/captions.parquet"
    pq.write_table(pa.table(columns), file)
    config = shipped_recipe(root=f"{tmp_path}/root", captions=file, out=f"{tmp_path}/out")
    assert folders_of(pretraining_job(config)) == {"root": f"{tmp_path}/root", "captions": file}
    drawn = shipped_recipe(root=f"{tmp_path}/root", num_pictures=2, num_held_out=2, num_val=1)
    assert folders_of(pretraining_job(drawn)) == {"root": f"{tmp_path}/root"}


def test_relative_places_are_refused_in_a_submitted_job(monkeypatch):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    config = shipped_recipe(root="s3://bucket/root", captions="captions.parquet", out="clip")
    with pytest.raises(UserError) as raised:
        pretraining_job(config)
    assert [problem.split("=")[0] for problem in raised.value.problems] == ["captions", "out"]


@pytest.mark.ray
@pytest.mark.slow
def test_a_small_pretraining_runs_from_nothing_to_its_quality(ray_local, tmp_path, capsys):
    config = shipped_recipe(
        root=str(tmp_path),
        num_pictures=24,
        num_held_out=6,
        num_val=5,
        num_merges=100,
        finetune={"num_steps": 2, "batch_size": 8, "warmup_steps": 1},
    )
    run_job(pretraining_job(config))
    out = capsys.readouterr().out
    folder = Path(out.rsplit("Model: ", 1)[1].strip())
    clip = load_clip(ClipConfig(model=f"local-dir:{folder}"))
    assert {p.dtype for p in clip.model.parameters()} == {torch.float32}
    quality = json.loads((folder.parent / "quality.json").read_text())
    assert 0 <= quality["R@1"] <= 1
    # the pictures that choose the epoch are not those that it is measured on
    val = pq.read_table(folder.parent / "val.parquet")
    measured = corpus_rows(6, 0, "held_out")["image_id"].to_pylist()
    assert len(val) == 5
    assert set(measured).isdisjoint(val["image_id"].to_pylist())


@pytest.mark.ray
@pytest.mark.slow
def test_pictures_with_captions_are_pretrained_on_just_so(ray_local, tmp_path, capsys):
    rows = corpus_rows(30, seed=5)
    write_pictures(rows, str(tmp_path / "set"))
    table = rows.select(["path", "captions"]).rename_columns(["image", "captions"])
    splits = ["train"] * 20 + ["val"] * 4 + ["test"] * 6
    groups = [""] * 24 + ["near"] * 3 + ["far"] * 3
    table = table.append_column("split", [splits]).append_column("group", [groups])
    pq.write_table(table, tmp_path / "set" / "captions.parquet")
    config = shipped_recipe(
        root=str(tmp_path / "root"),
        captions=f"{tmp_path}/set/captions.parquet",
        out=str(tmp_path / "clip"),
        num_merges=100,
        finetune={"num_steps": 2, "batch_size": 8, "warmup_steps": 1},
    )
    run_job(pretraining_job(config))
    out = capsys.readouterr().out
    assert f"Model: {tmp_path}/clip" in out
    load_clip(ClipConfig(model=f"local-dir:{tmp_path}/clip"))
    (quality,) = (tmp_path / "root" / "artifacts" / "pretrained").rglob("quality.json")
    assert json.loads(quality.read_text()).keys() == {
        "near, R@1 among 3",
        "near, R@5 among 3",
        "far, R@1 among 3",
        "far, R@5 among 3",
    }
