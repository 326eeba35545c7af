import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pydantic
import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.demo.emoji.build import REPEATS, build_emoji_set
from gist_ray.demo.emoji.config import EmojiConfig
from gist_ray.pretraining.captions import read_captions
from gist_ray.texts.import_texts import import_texts
from tests.datasets.ingesting import ingest


@pytest.fixture
def built(tiny_packages, tmp_path):
    out = tmp_path / "set"
    counts = build_emoji_set(tiny_packages, EmojiConfig(image_px=8), out)
    return out, counts


def test_it_counts_what_it_wrote(built):
    out, counts = built
    assert counts["classes"] == 2
    assert counts["emoji_in_classes"] == 18
    assert counts["missing"] == {"google": 1}
    assert counts["pictures"] == {"openmoji": 31, "fluent": 31, "google": 30, "twitter": 31}
    assert len(list((out / "images").rglob("*.png"))) == sum(counts["pictures"].values())
    assert json.loads((out / "counts.json").read_text()) == counts


def test_the_manifest_is_a_data_set_and_the_texts_are_of_its_classes(built):
    out, _ = built
    data = DataConfig(layout="manifest", path=f"{out}/manifest.parquet", id_column="image_id")
    manifest, errors = ingest(data, str(out / "indices"))
    assert not len(errors)
    assert set(manifest["class_name"].to_pylist()) == {"animal bird", "food fruit"}
    texts = import_texts(f"{out}/texts.json", manifest).texts
    assert sorted(texts["text"].to_pylist())[:2] == ["bird 0", "bird 1"]
    assert len(texts) == 18


def test_nothing_leaks_between_vendors_and_splits(built):
    manifest = pd.read_parquet(built[0] / "manifest.parquet")
    assert set(manifest.vendor[manifest.split == "test"]) == {"google"}
    assert "google" not in set(manifest.vendor[manifest.split != "test"])
    names = {split: set(rows.name) for split, rows in manifest.groupby("split")}
    assert names["train"].isdisjoint(names["val"])
    # Twitter draws bird 1 exactly as bird 0
    assert built[1]["identical_pictures_left_out"] == 1
    assert not ((manifest.vendor == "twitter") & (manifest.name == "bird 1")).any()


def test_pretraining_sees_no_test_vendor_and_no_unseen_emoji(built):
    manifest = pd.read_parquet(built[0] / "manifest.parquet")
    captions = pd.read_parquet(built[0] / "captions.parquet")
    shown = captions[captions.split != "test"]
    assert not shown.image.str.contains("/google/").any()
    unseen = manifest[manifest.pretraining_saw == "nothing"]
    assert len(set(unseen.name)) == 2  # a tenth of nine, in each class
    said = {text for texts in shown.captions for text in texts}
    assert said.isdisjoint(unseen.name)
    assert not said & {f"{who}{role}" for who in ("", "man ", "woman ") for role in ("diver",)} or (
        not said & {f"{who}{role}" for who in ("", "man ", "woman ") for role in ("farmer",)}
    )
    trained = set(captions[captions.split == "train"].image)
    assert ((manifest.pretraining_saw == "the picture") == manifest.image.isin(trained)).all()
    assert set(manifest[manifest.split == "test"].pretraining_saw) == {"its name", "nothing"}


def test_people_do_not_outweigh_the_rest(built):
    captions = pd.read_parquet(built[0] / "captions.parquet")
    train = captions[captions.split == "train"]
    times = train.groupby("image").size()
    first = train.drop_duplicates("image").set_index("image").captions.str[0]
    is_person = first.str.contains("diver|farmer")
    assert set(times[is_person]) == {1}
    assert set(times[~is_person]) == {REPEATS}


def test_the_captions_can_be_pretrained_on(built):
    table = read_captions(str(built[0] / "captions.parquet"))
    assert len(table.val) > 0
    assert set(table.groups) == {"names seen in training", "names never seen"}
    assert set(table.train["uri"].to_pylist()).isdisjoint(table.val["uri"].to_pylist())


def test_a_vendor_can_be_kept_from_pretraining(tiny_packages, tmp_path):
    config = EmojiConfig(pretrain=["openmoji", "twitter"], train=["fluent"], image_px=8)
    build_emoji_set(tiny_packages, config, tmp_path / "set")
    manifest = pd.read_parquet(tmp_path / "set/manifest.parquet")
    assert set(manifest.vendor) == {"fluent", "google"}
    assert set(manifest.pretraining_saw) == {"its name", "nothing"}


def test_the_licences_lie_beside_the_pictures(built):
    out, _ = built
    said = (out / "LICENCES.md").read_text()
    for licence in ("CC BY-SA 4.0", "Apache-2.0", "CC BY 4.0", "MIT", "Unicode License"):
        assert licence in said
    assert (out / "licences/openmoji/LICENSE.txt").read_text() == "CC BY-SA 4.0"


def test_nobody_tests_on_what_is_trained_on():
    with pytest.raises(pydantic.ValidationError, match="also trained on"):
        EmojiConfig(test="twitter")


def test_the_command_refuses_to_test_on_what_is_trained_on(tmp_path):
    tool = Path(__file__).parents[3] / "tools" / "emoji.py"
    command = [sys.executable, str(tool), "build", str(tmp_path / "set"), "--test", "twitter"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "test=twitter is also trained on" in done.stderr
    assert not (tmp_path / "set").exists()
