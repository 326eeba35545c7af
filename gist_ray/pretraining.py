"""How the embedded CLIP was made: the trainer, from random weights, on pictures with captions."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import Field
from rich.console import Console
from rich.table import Table

from gist_ray import storage
from gist_ray.artifacts import Artifact, ArtifactStore, ArtifactWriter
from gist_ray.cluster import cluster_resources, connect, relative_in_job, require_shared
from gist_ray.datasets.butterflies.attributes import Attributes
from gist_ray.datasets.butterflies.captions import attribute_answer, attribute_prompts
from gist_ray.datasets.butterflies.corpus import CorpusSplit, corpus_pairs, corpus_rows
from gist_ray.datasets.stage import draw_pictures
from gist_ray.encoders.clip import embed_texts, load_clip
from gist_ray.encoders.config import ClipConfig
from gist_ray.encoders.tokenizer import save_tokenizer
from gist_ray.errors import UserError
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.finetune.job import MODEL_FOLDER, PAIRS_FILE
from gist_ray.finetune.selection import embed_uris
from gist_ray.finetune.trainer import train_clip
from gist_ray.flow import Stage, run_flow
from gist_ray.operate.cluster import RayMetrics
from gist_ray.operate.record import recorded
from gist_ray.progress import Progress
from gist_ray.settings import settings
from gist_ray.stages.training import recipe


@settings
class PretrainConfig:
    """One pretraining on the drawn corpus."""

    root: str = "results"
    """Where artifacts are kept: a local folder or s3://bucket/prefix."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the weights, the order and the augmentation. The corpus has its own."""

    corpus_seed: Annotated[int, Field(ge=0)] = 0
    """Which corpus is drawn."""

    num_pictures: Annotated[int, Field(ge=2)] = 40_000
    """Pictures to train on, three captions each."""

    num_held_out: Annotated[int, Field(ge=2)] = 1000
    """Pictures the result is measured on; the shipped figures are among 1,000."""

    num_val: Annotated[int, Field(ge=1)] = 1000
    """Further held-out pictures, which choose the epoch."""

    num_merges: Annotated[int, Field(ge=1, le=48_894)] = 8000
    """Byte-pair merges that are kept of CLIP's tokenizer."""

    model_cfg: dict[str, Any]
    """The architecture, as open_clip's model configs have it; the vocabulary is filled in."""

    preprocess_cfg: dict[str, Any]
    """Mean and standard deviation of the pictures."""

    finetune: FinetuneConfig
    """The training."""


def run_pretraining(config: PretrainConfig) -> None:
    """Draw, train, measure, and say where the model folder lies."""
    if problems := relative_in_job({"root": config.root}):
        raise UserError(problems)
    store = ArtifactStore(config.root)
    draws = {
        "train": _draw_stage(config, "train", config.num_pictures),
        "held_out": _draw_stage(config, "held_out", config.num_held_out + config.num_val),
    }
    trains = {
        "seed": config.seed,
        "num_val": config.num_val,
        "num_merges": config.num_merges,
        "model_cfg": config.model_cfg,
        "preprocess_cfg": config.preprocess_cfg,
        "recipe": recipe(config.finetune),
    }
    pretrain = Stage(
        "pretrain",
        "pretrained",
        trains,
        lambda inputs, writer, progress: _pretrain(config, inputs, writer, progress),
        draws,
        cpus=config.finetune.num_workers * config.finetune.cpus_per_worker,
    )
    progress = Progress()
    stages = [*draws.values(), pretrain]
    name = f"pretrain-{pretrain.fingerprint}"
    with recorded(
        name,
        config,
        store,
        stages,
        progress,
        listeners=[RayMetrics(name)],
        hardware=cluster_resources,
    ) as pulse:
        num_cpus = connect()
        require_shared({"root": config.root})
        done = run_flow(
            stages,
            store,
            progress,
            num_cpus=num_cpus,
            max_failed_fraction=0.0,
            hold=pulse.hold,
        )
    artifact = done["pretrain"].artifact
    held_out = corpus_rows(config.num_held_out, config.corpus_seed, "held_out")
    uris = corpus_pairs(held_out, done["draw held_out"].artifact.uri).column("uri").to_pylist()
    model = artifact.file(MODEL_FOLDER)
    quality = measure(ClipConfig(model=f"local-dir:{model}"), held_out, uris)
    table = Table(title="On held-out pictures", title_justify="left")
    table.add_column("task")
    table.add_column("accuracy", justify="right")
    for task, value in quality.items():
        table.add_row(task, f"{value:.3f}")
    Console().print(table)
    storage.write_json(artifact.file("quality.json"), quality)
    print(f"Model: {model}")


def measure(clip_config: ClipConfig, rows: pa.Table, uris: list[str]) -> dict[str, float]:
    """Retrieval of each picture's full description among all (R@1, R@5), and zero-shot accuracy on
    single attributes, which were never labels.

    rows: CORPUS_ROWS of the pictures; uris: where they lie, in the same order.
    """
    clip = load_clip(clip_config)
    images = embed_uris(clip, uris)
    descriptions = rows.column("description").to_pylist()
    ranks = np.argsort(-(images @ embed_texts(clip, descriptions).T), axis=1)[:, :5]
    hits = np.array(
        [
            [descriptions[i] == own for i in near]
            for near, own in zip(ranks, descriptions, strict=True)
        ]
    )
    quality = {"R@1": float(hits[:, 0].mean()), "R@5": float(hits.any(axis=1).mean())}
    attributes = [Attributes.from_json(text) for text in rows.column("attributes").to_pylist()]
    for task, prompts in attribute_prompts().items():
        answers = list(prompts)
        truth = [attribute_answer(one, task) for one in attributes]
        asked = [index for index, answer in enumerate(truth) if answer in prompts]
        head = embed_texts(clip, list(prompts.values()))
        chosen = (images[asked] @ head.T).argmax(axis=1)
        right = [
            answers[choice] == truth[index] for index, choice in zip(asked, chosen, strict=True)
        ]
        quality[f"zero-shot {task} (1 of {len(answers)})"] = float(np.mean(right))
    return quality


def _draw_stage(config: PretrainConfig, split: CorpusSplit, num_pictures: int) -> Stage:
    return Stage(
        f"draw {split}",
        "corpus",
        {"seed": config.corpus_seed, "split": split, "num_pictures": num_pictures},
        lambda inputs, writer, progress: draw_pictures(
            corpus_rows(num_pictures, config.corpus_seed, split), writer, progress
        ),
        cpus=2,
    )


def _pretrain(
    config: PretrainConfig,
    inputs: Mapping[str, Artifact],
    writer: ArtifactWriter,
    progress: Progress,
) -> None:
    train = corpus_pairs(
        corpus_rows(config.num_pictures, config.corpus_seed, "train"), inputs["train"].uri
    )
    held_out = corpus_rows(config.num_held_out + config.num_val, config.corpus_seed, "held_out")
    rows = held_out.slice(config.num_held_out)
    val = corpus_pairs(rows, inputs["held_out"].uri)
    descriptions = pa.array([[text] for text in rows.column("description").to_pylist()])
    val = val.set_column(val.schema.get_field_index("captions"), "captions", descriptions)
    with tempfile.TemporaryDirectory() as folder:
        write_architecture(config, Path(folder))
        for file in Path(folder).iterdir():
            storage.put_file(str(file), writer.file(f"architecture/{file.name}"))
    history = train_clip(
        train,
        val,
        ClipConfig(model=f"local-dir:{writer.file('architecture')}"),
        config.finetune,
        config.seed,
        writer,
        progress,
        random_weights=True,
        half=True,
    )
    writer.extra["settings"] = asdict(config.finetune)
    writer.extra["history"] = history
    writer.add_part(PAIRS_FILE, len(train))


def write_architecture(config: PretrainConfig, folder: Path) -> None:
    """An open_clip folder with config and tokenizer, and no weights."""
    num_rows = save_tokenizer(folder, config.num_merges)
    model_cfg = json.loads(json.dumps(config.model_cfg))
    model_cfg["text_cfg"] |= {"vocab_size": num_rows, "hf_tokenizer_name": "tokenizer.json"}
    content = {"model_cfg": model_cfg, "preprocess_cfg": config.preprocess_cfg}
    (folder / "open_clip_config.json").write_text(json.dumps(content, indent=2) + "\n")
