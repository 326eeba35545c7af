import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from gist_ray.encoders import loaded, stage
from gist_ray.encoders.clip import embed_images, embed_texts, embedded_folder, load_clip
from gist_ray.encoders.config import ClipConfig, EmbedConfig
from gist_ray.encoders.stage import embed_image_rows, embed_text_rows
from gist_ray.run.progress import Progress
from gist_ray.store.artifacts import ArtifactStore

pytestmark = pytest.mark.ray

CONFIG = EmbedConfig(batch_size=8, rows_per_part=10)


def files_below(folder: str) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in Path(folder).rglob("*.parquet")}


def test_good_images_are_embedded_bad_ones_named_and_nothing_done_twice(
    ray_local, shipped_clip, picture_uris, tmp_path, capsys
):
    truncated = tmp_path / "truncated.png"
    truncated.write_bytes(Path(picture_uris[1]).read_bytes()[:500])
    empty = tmp_path / "empty.png"
    empty.touch()
    uris = list(picture_uris)
    bad = {
        3: (str(tmp_path / "none.png"), "missing"),
        17: (str(truncated), "corrupt"),
        39: (str(empty), "empty"),
    }
    for index, (uri, _) in bad.items():
        uris[index] = uri
    ids = [f"image {index}" for index in range(40)]
    rows = pa.table({"image_id": ids, "uri": uris})
    store = ArtifactStore(str(tmp_path / "store"))

    def run(part: pa.Table) -> tuple[str, pa.Table, pa.Table]:
        writer = store.writer("images", "embed", {"a": 1}, inputs={})
        embed_image_rows(part, ClipConfig(), CONFIG, writer=writer, progress=Progress())
        artifact = writer.publish(1.0)
        return writer.uri, artifact.read(), artifact.read_errors()

    # as after a crash: one part is there, the rest is not
    folder, some, _ = run(rows.slice(0, 10))
    assert len(some) == 9
    early = files_below(folder)
    _, embedded, errors = run(rows)
    late = files_below(folder)
    assert {path: late[path] for path in early if "errors.parquet" not in path}.items() <= (
        early.items()
    )
    assert {row["id"]: row["kind"] for row in errors.to_pylist()} == {
        ids[index]: kind for index, (_, kind) in bad.items()
    }
    assert all(row["uri"] and row["message"] for row in errors.to_pylist())

    found = {row["image_id"]: row["embedding"] for row in embedded.to_pylist()}
    good = [index for index in range(40) if index not in bad]
    assert sorted(found) == sorted(ids[index] for index in good)
    pixels = np.stack([np.asarray(Image.open(uris[index])) for index in good])
    wanted = embed_images(shipped_clip, pixels)
    assert np.allclose([found[ids[index]] for index in good], wanted, atol=1e-5)

    run(rows)
    parts = {path for path in late if "errors.parquet" not in path}
    again = files_below(folder)
    assert {path: again[path] for path in parts} == {path: late[path] for path in parts}
    assert "40 images were already stored" in capsys.readouterr().out


def test_texts_are_embedded(ray_local, shipped_clip, tmp_path):
    texts = [f"a butterfly with {count} spots" for count in range(12)]
    rows = pa.table({"text_id": [f"t{i}" for i in range(12)], "text": texts})
    writer = ArtifactStore(str(tmp_path)).writer("texts", "embed", {}, inputs={})
    embed_text_rows(rows, ClipConfig(), CONFIG, writer=writer, progress=Progress())
    found = writer.publish(1.0).read()
    assert found.column_names == ["text_id", "embedding"]
    order = [int(text_id[1:]) for text_id in found["text_id"].to_pylist()]
    assert sorted(order) == list(range(12))
    wanted = embed_texts(shipped_clip, texts)[order]
    assert np.allclose(np.stack(found["embedding"].to_pylist()), wanted, atol=1e-5)


@pytest.mark.long
def test_a_warm_worker_leaves_the_files_of_ray_data(ray_local, picture_uris, tmp_path):
    """Bit for bit, in blocks that the batches do not divide."""
    uris = [*picture_uris[:27], str(tmp_path / "none.png")]
    images = pa.table({"image_id": [f"image {i}" for i in range(28)], "uri": uris})
    texts = [f"a butterfly with {count} spots" for count in range(28)]
    texts = pa.table({"text_id": [f"t{i}" for i in range(28)], "text": texts})

    def files(root: Path, max_workers: int) -> dict[str, bytes]:
        config = replace(CONFIG, max_workers=max_workers)
        for kind, embed, rows in (
            ("images", embed_image_rows, images),
            ("texts", embed_text_rows, texts),
        ):
            writer = ArtifactStore(str(root)).writer(kind, "embed", {}, inputs={})
            embed(rows, ClipConfig(), config, writer=writer, progress=Progress())
            writer.publish(1.0)
        return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*.parquet")}

    warm, on_ray_data = files(tmp_path / "warm", 1), files(tmp_path / "ray_data", 2)
    assert warm == on_ray_data
    assert len(warm) == 2 * 2 * 3 + 2  # parts with their indexes, and the errors twice


@pytest.mark.usefixtures("rows_inline")
def test_a_text_without_a_vector_is_an_error_row(tmp_path, monkeypatch):
    def broken(clip, texts):
        vectors = embed_texts(clip, texts)
        vectors[[text == "bad" for text in texts]] = np.nan
        return vectors

    monkeypatch.setattr(stage, "embed_texts", broken)
    rows = pa.table({"text_id": ["t0", "t1"], "text": ["bad", "a red butterfly"]})
    writer = ArtifactStore(str(tmp_path)).writer("texts", "embed", {}, inputs={})
    embed_text_rows(rows, ClipConfig(), CONFIG, writer=writer, progress=Progress())
    artifact = writer.publish(1.0)
    assert artifact.read()["text_id"].to_pylist() == ["t1"]
    assert artifact.read_errors().select(["id", "kind"]).to_pylist() == [
        {"id": "t0", "kind": "bad_embedding"}
    ]


@pytest.mark.usefixtures("rows_inline")
def test_stages_of_one_model_load_it_once_and_see_that_a_folder_holds_another(
    tmp_path, monkeypatch, picture_uris
):
    loads = []

    def counted(config, **how):
        loads.append(config.model)
        return load_clip(config, **how)

    monkeypatch.setattr(loaded, "load_clip", counted)
    loaded.loaded_clip.cache_clear()
    loaded.facts_of.cache_clear()
    folder = tmp_path / "model"
    shutil.copytree(embedded_folder(), folder)
    clip = ClipConfig(model=f"local-dir:{folder}")
    images = pa.table({"image_id": ["i"], "uri": picture_uris[:1]})
    texts = pa.table({"text_id": ["t"], "text": ["a red butterfly"]})

    def embed(name):
        for kind, work, rows in (("i", embed_image_rows, images), ("t", embed_text_rows, texts)):
            writer = ArtifactStore(str(tmp_path)).writer(name + kind, "embed", {}, inputs={})
            work(rows, clip, CONFIG, writer=writer, progress=Progress())

    embed("first")
    assert len(loads) == 2  # for its facts, and to embed
    (folder / "notes.txt").write_text("another content")
    embed("second")
    assert len(loads) == 4
