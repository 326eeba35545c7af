"""Prediction against embedding the same pictures, images/s in the steady state.

Both fetch, decode and encode alike; prediction also scores every class, looks for the text that
explains the prediction, and writes both. Classifier and texts are random: 200 classes of 50 texts.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.embedding import NUM_FILES, draw_pictures, ours
from benchmarks.rates import in_turns, part_times, say_rates, steady_rate
from benchmarks.record import parser, record
from gist_ray.encoders.clip import embed_texts, load_clip, open_clip_name
from gist_ray.encoders.config import ClipConfig, EmbedConfig
from gist_ray.images.limits import ImageLimits
from gist_ray.methods.base.linear_classifier import LinearClassifier
from gist_ray.methods.base.problem import TextSet
from gist_ray.predict.classifier import Classifier
from gist_ray.predict.config import PredictConfig
from gist_ray.predict.folder import save_classifier
from gist_ray.predict.job import KIND, predict_job
from gist_ray.run.cluster import connect
from gist_ray.run.run_job import run_job
from gist_ray.store import storage

NUM_CLASSES = 200
TEXTS_EACH = 50


def main(words: Sequence[str] | None = None) -> None:
    arguments = _arguments(words)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = draw_pictures(folder, min(arguments.images, NUM_FILES))
        uris = [files[at % len(files)] for at in range(arguments.images)]
        table = pa.table({"id": [f"image {at}" for at in range(len(uris))], "image": uris})
        storage.write_parquet(str(folder / "images.parquet"), table)
        classifier = str(folder / "classifier")
        save_classifier(
            _classifier(arguments.model),
            open_clip_name(ClipConfig(model=arguments.model)),
            classifier,
        )
        connect()
        embed = EmbedConfig(
            batch_size=arguments.batch_size,
            rows_per_part=arguments.batch_size,
            cpus_per_worker=len(os.sched_getaffinity(0)),
            max_decoders=1,
        )
        rates = in_turns(
            lambda: _predict(classifier, str(folder / "images.parquet"), embed),
            lambda: ours(uris, arguments.model, embed),
            arguments.pairs,
        )
    say_rates("Prediction (ours) and embedding (bare)", "images/s", [rates.row(arguments.model)])
    settings = {name: value for name, value in vars(arguments).items() if name != "out"}
    record("prediction", {"settings": settings, **rates.numbers()}, arguments.out)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--model", default="ViT-B-32", help="open_clip's name, or butterfly-clip")
    options.add_argument("--batch-size", type=int, default=32)
    options.add_argument("--images", type=int, default=320, help="per turn")
    options.add_argument("--pairs", type=int, default=3, help="turns of each")
    return options.parse_args(words)


def _classifier(model: str) -> Classifier:
    clip = load_clip(ClipConfig(model=model))
    rng, dim = np.random.default_rng(0), embed_texts(clip, ["a"]).shape[1]
    vectors = rng.standard_normal((NUM_CLASSES * (1 + TEXTS_EACH), dim), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    weight, features = np.split(vectors, [NUM_CLASSES])
    labels = np.arange(NUM_CLASSES * TEXTS_EACH) % NUM_CLASSES
    texts = [f"text {number} of class {label}" for number, label in enumerate(labels)]
    return Classifier(
        clip,
        LinearClassifier(weight.astype(np.float64), np.zeros(NUM_CLASSES), 10.0),
        "linear_probe",
        [f"class {label}" for label in range(NUM_CLASSES)],
        TextSet(texts, features, labels),
        temperature=1.0,
        threshold=0.0,
        limits=ImageLimits(),
        about={},
    )


def _predict(classifier: str, images: str, embed: EmbedConfig) -> float:
    """Images/s of a prediction, from the times of its part files."""
    with tempfile.TemporaryDirectory() as out:
        config = PredictConfig(
            classifier=classifier, images=images, out=out, id_column="id", embed=embed
        )
        run_job(predict_job(config))
        (artifact,) = Path(out, "artifacts", KIND).iterdir()
        times = part_times(str(artifact))
        return steady_rate([(at, embed.batch_size) for at in times.values()])


if __name__ == "__main__":
    main()
