"""A run on imported pairs of image and caption, which are not matched anew."""

import json
from pathlib import Path

import pytest

from gist_ray.finetune.job import PAIRS_FILE
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.config import RunConfig
from gist_ray.study.data import read_data
from tests.end_to_end.running import artifact, configured, run

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("ray_local")]

UNUSABLE = "far too long " * 200


def captions_by_image(config: RunConfig, texts_file: str) -> tuple[dict[str, list[str]], set[str]]:
    """{image: its captions, other texts of the class than matching would choose} for half of the
    training images of each class, two of test and one that there is not; image ids of the half."""
    texts = json.loads(Path(texts_file).read_text())
    store = ArtifactStore(config.root)
    images = read_data(config.data, config.texts.notes, store).manifest.to_pylist()
    train = [image for image in images if image["split"] == "train"]
    paired = train[::2]
    by_image = {
        "/".join(image["uri"].split("/")[-4:]): [UNUSABLE, *texts[image["class_name"]][::-1]]
        for image in [*paired, *(image for image in images if image["split"] == "test")][:-2]
    }
    by_image["nowhere.png"] = ["Nothing."]
    return by_image, {image["image_id"] for image in paired}


def test_training_takes_the_pairs_of_the_file(
    in_world: list[str], texts_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*in_world, f"root={tmp_path}/root", "study.shots=[4]", "matching.k=2"]
    by_image, paired = captions_by_image(configured(*words), texts_file)
    file = tmp_path / "pairs.json"
    file.write_text(json.dumps(by_image))
    words += [f"texts.import_from={file}", "texts.use_pairs=true", "texts.unknown_images=skip"]
    run(configured(*words))

    root, draw = f"{tmp_path}/root", "gist 4-shot seed 1"
    texts = {row["text_id"]: row for row in artifact(root, "import texts").read().to_pylist()}
    # near-duplicates stay: only what cannot be trained on goes
    assert {row["rejected"] for row in texts.values()} == {None, "too_long"}
    match = artifact(root, "match gist")
    assert {row["image_id"] for row in match.read().to_pylist()} == paired
    assert match.info["num_images_without_pair"] == 24

    tuned = artifact(root, f"finetune {draw}")
    sampled = artifact(root, "sample 4-shot seed 1").read().to_pylist()
    chosen = {row["image_id"] for row in sampled if row["split"] == "train"}
    pairs = storage.read_parquet(tuned.file(PAIRS_FILE)).to_pylist()
    assert {row["image_id"] for row in pairs} == chosen & paired
    for row in pairs:
        key = "/".join(row["uri"].split("/")[-4:])
        assert row["captions"] == by_image[key][1:3]
    assert tuned.info["num_images_without_text"] == len(chosen - paired) > 0
    said = capsys.readouterr().out
    assert "skipped 1 images" in said
    assert "the first 2 of up to 4 imported captions per image" in said
    assert f"{len(chosen - paired)} images of the sample have no text" in said
    assert (
        "captions that were imported with it"
        in (tmp_path / "root" / "runs" / "tiny" / "report.html").read_text()
    )
