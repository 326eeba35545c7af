"""Prediction on Ray Data: images are decoded beside an actor pool that holds the classifier."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch

from gist_ray.encoders.clip import embed_images, load_clip
from gist_ray.encoders.config import EmbedConfig
from gist_ray.encoders.decoding import decoding
from gist_ray.encoders.stage import encoding, first_of, vector_errors
from gist_ray.predict.classifier import predict_features
from gist_ray.predict.config import PredictConfig
from gist_ray.predict.folder import load_classifier, model_of, read_description
from gist_ray.run.progress import Progress
from gist_ray.run.rows import run_rows
from gist_ray.run.step import Batch
from gist_ray.schema import CLASSIFIED
from gist_ray.store.artifacts import ArtifactWriter


def classify_rows(
    images: pa.Table,
    config: PredictConfig,
    *,
    threshold: float,
    writer: ArtifactWriter,
    progress: Progress,
) -> None:
    """Stores CLASSIFIED of every image (image_id, uri). Images that give no pixels become error
    rows; what a run before this one stored is not made again.

    threshold: predictions below this probability are marked as abstained.
    """
    preprocess = load_clip(model_of(config.classifier)).preprocess
    steps = [
        decoding(preprocess, scaled_as_trained(config)),
        encoding(Predictor, (config.classifier, threshold), config.embed),
    ]
    run_rows(
        images,
        id_column="image_id",
        steps=steps,
        schema=CLASSIFIED,
        writer=writer,
        rows_per_part=config.embed.rows_per_part,
        unit="images",
        progress=progress,
    )


def scaled_as_trained(config: PredictConfig) -> EmbedConfig:
    """Returns how pictures are embedded, with the white level of those that the classifier was
    trained on unless the config has one."""
    if config.embed.white_level is not None:
        return config.embed
    limits = read_description(config.classifier).limits
    return replace(config.embed, white_level=limits.white_level)


class Predictor:
    """An actor that holds the classifier."""

    def __init__(self, classifier: str, threshold: float, config: EmbedConfig) -> None:
        torch.set_num_threads(max(1, int(config.cpus_per_worker)))
        device = "cuda" if config.gpus_per_worker else "cpu"
        loaded = load_classifier(classifier, device=device, precision=config.precision)
        self.classifier = replace(loaded, threshold=threshold)

    def __call__(self, batch: Batch) -> Batch:
        features = embed_images(self.classifier.clip, batch["pixels"])
        kinds, messages = vector_errors(features)
        found = predict_features(self.classifier, np.nan_to_num(features))
        return {
            "image_id": batch["image_id"],
            "uri": batch["uri"],
            "label": [one.label for one in found],
            "class_name": [one.class_name for one in found],
            "probability": [one.probability for one in found],
            "abstained": [one.abstained for one in found],
            "top5": [[name for name, _ in one.top5] for one in found],
            "top5_probability": [[chance for _, chance in one.top5] for one in found],
            "explanation": [one.explanation for one in found],
            "similarity": [one.similarity for one in found],
            "error_kind": first_of(batch["error_kind"], kinds),
            "error_message": first_of(batch["error_message"], messages),
        }
