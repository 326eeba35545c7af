"""The stages that growth.py measures: each prepares its input, and returns the work to be timed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.stand_ins import sentences, write_vectors
from gist_ray.demo.butterflies.collection import manifest_rows, picture_rows
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.encoders.config import ClipConfig, EmbedConfig
from gist_ray.run.progress import Progress
from gist_ray.schema import MANIFEST, PAIRS, TEXTS, table
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter

Work = Callable[[], object]

NUM_CLASSES = 20
TEXTS_EACH = 50
DIM = 256
CLIP = ClipConfig()
QUIET = Progress(interval_s=1e9)


def draw_pictures(rows: int, folder: Path) -> Work:
    from gist_ray.demo.stage import draw_pictures
    from gist_ray.run.cluster import connect

    connect()
    pictures = picture_rows(_world(rows)).slice(0, rows)
    writer = _writer(folder, "pictures", rows)

    def work() -> None:
        draw_pictures(pictures, writer, QUIET)
        writer.publish(0)

    return work


def embed_images(rows: int, folder: Path) -> Work:
    from gist_ray.encoders.stage import embed_image_rows
    from gist_ray.run.cluster import connect

    connect()
    images = _drawn(rows, folder)
    writer = _writer(folder, "embedded", rows)

    def work() -> None:
        config = EmbedConfig(rows_per_part=128)
        embed_image_rows(images, CLIP, config, writer=writer, progress=QUIET)
        writer.publish(0)

    return work


def clean_texts(rows: int, folder: Path) -> Work:
    """More classes, of as many texts each."""
    from gist_ray.encoders.context import fits_context
    from gist_ray.texts.clean import CleaningConfig, clean_texts

    texts = _texts(TEXTS_EACH, rows // TEXTS_EACH)
    return lambda: clean_texts(
        texts, CleaningConfig(), fits=lambda candidates, names: fits_context(CLIP, candidates)
    )


def match(rows: int, folder: Path) -> Work:
    from gist_ray.matching.config import MatchingConfig
    from gist_ray.matching.inputs import MatchingTables
    from gist_ray.matching.match import match
    from gist_ray.matching.vectors import stored_vectors

    manifest, texts = _manifest(rows, "train"), _texts(TEXTS_EACH)
    images = _vectors(folder, "image_id", manifest)
    of_texts = _vectors(folder, "text_id", texts)

    def work() -> None:
        vectors = stored_vectors(images, "image_id"), stored_vectors(of_texts, "text_id")
        tables = MatchingTables(manifest, vectors[0], texts, vectors[1])
        matches = match(tables, MatchingConfig(), 0)
        storage.write_parquet(str(folder / "matches.parquet"), matches)

    return work


def evaluate(rows: int, folder: Path) -> Work:
    """`rows` test images; the sample is always of the same size."""
    from gist_ray.evaluation.config import EvaluationConfig
    from gist_ray.evaluation.metrics import outcomes_of
    from gist_ray.evaluation.stage import Measured, metric_rows
    from gist_ray.matching.vectors import stored_vectors
    from gist_ray.methods import METHODS
    from gist_ray.methods.base.features import read_split, read_split_in_blocks, read_text_set
    from gist_ray.methods.base.predictions import predict_blocks
    from gist_ray.methods.base.problem import Problem

    manifest, texts = _manifest(rows + 200, "test"), _texts(TEXTS_EACH)
    sample, test = manifest.slice(0, 200), manifest.slice(200)
    images = _vectors(folder, "image_id", manifest)
    class_texts = read_text_set(texts, _vectors(folder, "text_id", texts))
    methods = {
        "linear_probe": {"max_iter": 20, "num_search_steps": 1},
        "zero_shot_texts": {},
        "zero_shot_best_texts": {},
    }
    measured = Measured(
        features="frozen", data="made", shots=5, seed=1, bootstrap_seed=1, params={}
    )

    def work() -> None:
        vectors = stored_vectors(images, "image_id")
        problem = Problem(
            train=read_split(sample.slice(100), vectors),
            val=read_split(sample.slice(0, 100), vectors),
            num_classes=NUM_CLASSES,
            logit_scale=100.0,
            seed=1,
            texts={"class": class_texts},
        )
        for name, values in methods.items():
            method = METHODS[name]
            classifier = method.fit(problem, method.config(**values))
            tested = read_split_in_blocks(test, vectors)
            predictions = predict_blocks(classifier, tested, class_texts)
            found = outcomes_of(predictions, NUM_CLASSES)
            metric_rows(name, "test", found, measured=measured, config=EvaluationConfig())
            storage.write_parquet(str(folder / f"{name}.parquet"), predictions)

    return work


def load_pairs(rows: int, folder: Path) -> Work:
    """One epoch of what fine-tuning reads, decodes and augments, with captions tokenized."""
    import torch

    from gist_ray.encoders.clip import load_clip
    from gist_ray.finetune.config import FinetuneConfig
    from gist_ray.finetune.pairs import PairDataset, PairLoader
    from gist_ray.images.limits import ImageLimits

    images = _drawn(rows, folder)
    texts = _texts(TEXTS_EACH).column("text").to_pylist()
    captions = [[texts[(3 * row + n) % len(texts)] for n in range(3)] for row in range(rows)]
    columns = [*images.select(["image_id", "uri", "label"]).columns, pa.array(captions)]
    pairs = pa.table(columns, schema=PAIRS)
    clip = load_clip(CLIP)
    config = FinetuneConfig(num_epochs=1, batch_size=64)

    def work() -> None:
        dataset = PairDataset(
            pairs,
            config,
            tokenizer=clip.tokenizer,
            preprocess=clip.preprocess,
            seed=0,
            limits=ImageLimits(),
        )
        for _ in PairLoader(dataset, config).batches(0, torch.device("cpu")):
            pass

    return work


STAGES: dict[str, tuple[Callable[[int, Path], Work], int]] = {
    "draw pictures": (draw_pictures, 2000),
    "embed images": (embed_images, 2000),
    "clean texts": (clean_texts, 4000),
    "match": (match, 100_000),
    "load pairs": (load_pairs, 2000),
    "evaluate": (evaluate, 10_000),
}
"""{stage: (the function that prepares it, its rows at x1)}"""


def _world(rows: int) -> WorldConfig:
    each = -(-rows // NUM_CLASSES)
    return WorldConfig(train_per_species=each, val_per_species=0, test_per_species=0)


def _writer(folder: Path, kind: str, rows: int) -> ArtifactWriter:
    return ArtifactStore(str(folder)).writer(kind, kind, {"rows": rows}, inputs={})


def _drawn(rows: int, folder: Path) -> pa.Table:
    """Manifest rows of pictures that the stage `draw pictures` left."""
    found = [
        artifact
        for path in (folder / "artifacts/pictures").glob("*/artifact.json")
        if (artifact := ArtifactStore(str(folder)).find("pictures", path.parent.name))
        and artifact.counts["rows_ok"] >= rows
    ]
    pictures = min(found, key=lambda artifact: artifact.counts["rows_ok"])
    num_drawn = pictures.counts["rows_ok"]
    drawn = picture_rows(_world(num_drawn)).slice(0, num_drawn)
    mixed = np.random.default_rng(0).permutation(num_drawn)[:rows]  # of all classes
    return manifest_rows(drawn.take(pa.array(mixed)), pictures.uri)


def _manifest(rows: int, split: str) -> pa.Table:
    numbers = np.arange(rows)
    labels = pa.array(numbers % NUM_CLASSES, pa.int32())
    columns = {
        "image_id": [f"i{number}" for number in numbers],
        "uri": [f"/images/{number}.jpg" for number in numbers],
        "label": labels,
        "class_name": pa.array([f"class {label}" for label in range(NUM_CLASSES)]).take(labels),
        "split": pa.repeat(pa.scalar(split), rows),
        "group": pa.nulls(rows, pa.string()),
        "attributes": pa.repeat(pa.scalar("{}"), rows),
    }
    return pa.table(columns, schema=MANIFEST)


def _texts(each: int, num_classes: int = NUM_CLASSES) -> pa.Table:
    blank = dict.fromkeys(("axis", "prompt_id", "prompt", "model", "sampling_params"), "")
    rows = (
        {"text_id": f"t{number}", "set": "class", "label": number % num_classes, **blank}
        | {"class_name": f"class {number % num_classes}", "sample": number}
        | {"text": text, "raw": text}
        for number, text in enumerate(sentences(num_classes * each))
    )
    return table(rows, TEXTS)


def _vectors(folder: Path, id_column: str, rows: pa.Table) -> Artifact:
    writer = _writer(folder, f"{id_column} vectors", len(rows))
    centres = np.random.default_rng(0).standard_normal((NUM_CLASSES, DIM))
    write_vectors(writer, id_column, rows, centres / 16)
    return writer.publish(0)
