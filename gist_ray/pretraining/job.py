"""A pretraining as a job: it makes the pairs, trains from random weights and measures the model."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from gist_ray.demo.butterflies.corpus import CorpusSplit, corpus_pairs, corpus_rows
from gist_ray.demo.stage import draw_pictures, where_drawn
from gist_ray.encoders.clip import Clip, load_clip
from gist_ray.encoders.config import ClipConfig
from gist_ray.encoders.tokenizer import save_tokenizer
from gist_ray.errors import UserError
from gist_ray.finetune.config import resources_of
from gist_ray.finetune.job import PAIRS_FILE
from gist_ray.finetune.trainer import train_clip
from gist_ray.images.limits import ImageLimits
from gist_ray.pretraining.captions import read_captions
from gist_ray.pretraining.config import PretrainConfig
from gist_ray.pretraining.quality import butterfly_quality, caption_quality
from gist_ray.run.cluster import relative_in_job
from gist_ray.run.job import Job
from gist_ray.run.progress import Progress
from gist_ray.run.resources import Resources
from gist_ray.run.stage import Done, Stage
from gist_ray.settings.declare import identity_of
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter, table_content
from gist_ray.train.job import MODEL_FOLDER
from gist_ray.train.trainer import where_trained

Inputs = Mapping[str, Artifact]


@dataclass(frozen=True)
class Source:
    """Source of a pretraining's pairs and figures."""

    stages: Mapping[str, Stage]
    """Stages that `pairs` and `quality` read, by the input names that these use."""

    pairs: Callable[[Inputs], tuple[pa.Table, pa.Table]]
    """Returns PAIRS to train on, and PAIRS that choose the epoch."""

    quality: Callable[[Clip, Inputs], dict[str, float]]
    """Returns figures of the trained model on further pictures, by name."""


def pretraining_job(config: PretrainConfig) -> Job:
    """Returns the job that draws or reads the pictures, trains, measures, and prints where the
    model folder is."""
    given = {"root": config.root, "captions": config.captions, "out": config.out}
    places = {what: uri for what, uri in given.items() if uri}
    if problems := relative_in_job(places):
        raise UserError(problems)
    source = _captions(config) if config.captions else _corpus(config)
    trains = {
        "seed": config.seed,
        "num_merges": config.num_merges,
        "model_cfg": config.model_cfg,
        "preprocess_cfg": config.preprocess_cfg,
        "recipe": identity_of(config.finetune),
    }
    if not config.captions:
        trains["num_val"] = config.num_val
    pretrain = Stage(
        name="pretrain",
        kind="pretrained",
        group="pretrain",
        identity=trains,
        run=lambda inputs, writer, progress: _pretrain(
            config, source, inputs, writer=writer, progress=progress
        ),
        inputs=source.stages,
        resources=resources_of(config.finetune),
        where=where_trained(config.finetune),
    )

    def finish(store: ArtifactStore, done: Mapping[str, Done]) -> Sequence[str]:
        return _finish(config, source, done)

    stages = [*source.stages.values(), pretrain]
    return Job(
        command="pretrain",
        name=f"pretrain-{pretrain.fingerprint}",
        config=config,
        root=config.root,
        stages=stages,
        finish=finish,
    )


def _finish(config: PretrainConfig, source: Source, done: Mapping[str, Done]) -> Sequence[str]:
    """Measures the model, copies it to `out` if that is set, and returns the line that says where
    it is."""
    artifact = done["pretrain"].artifact
    model = artifact.file(MODEL_FOLDER)
    inputs = {name: done[stage.name].artifact for name, stage in source.stages.items()}
    quality = source.quality(load_clip(ClipConfig(model=f"local-dir:{model}")), inputs)
    table = Table(title="On held-out pictures", title_justify="left")
    table.add_column("task")
    table.add_column("accuracy", justify="right")
    for task, value in quality.items():
        table.add_row(task, f"{value:.3f}")
    Console().print(table)
    storage.write_json(artifact.file("quality.json"), quality)
    if config.out:
        model = _copied(model, config.out)
    return [f"Model: {model}"]


def _corpus(config: PretrainConfig) -> Source:
    """Returns the source of the drawn butterflies."""
    num_held_out = config.num_held_out + config.num_val
    held_out = corpus_rows(num_held_out, config.corpus_seed, "held_out")
    measured = held_out.slice(0, config.num_held_out)

    def pairs(inputs: Inputs) -> tuple[pa.Table, pa.Table]:
        rows = corpus_rows(config.num_pictures, config.corpus_seed, "train")
        of_val = held_out.slice(config.num_held_out)
        val = corpus_pairs(of_val, inputs["held_out"].uri)
        descriptions = pa.array([[text] for text in of_val.column("description").to_pylist()])
        at = val.schema.get_field_index("captions")
        val = val.set_column(at, "captions", descriptions)
        return corpus_pairs(rows, inputs["train"].uri), val

    def quality(clip: Clip, inputs: Inputs) -> dict[str, float]:
        uris = corpus_pairs(measured, inputs["held_out"].uri).column("uri").to_pylist()
        return butterfly_quality(clip, measured, uris)

    stages = {
        "train": _draw_stage(config, "train", config.num_pictures),
        "held_out": _draw_stage(config, "held_out", num_held_out),
    }
    return Source(stages, pairs, quality)


def _captions(config: PretrainConfig) -> Source:
    """Returns the source of the user's table of captions."""
    given = read_captions(config.captions)

    def keep(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        writer.write(given.train)

    content = {"train": table_content(given.train), "val": table_content(given.val)}
    return Source(
        {
            "captions": Stage(
                name="captions",
                kind="captions",
                group="captions",
                identity=content,
                run=keep,
                # the pictures lie beside the table
                folders={"captions": config.captions},
                num_rows=len(given.train),
            )
        },
        lambda inputs: (given.train, given.val),
        lambda clip, inputs: caption_quality(clip, given.test, given.groups),
    )


def _draw_stage(config: PretrainConfig, split: CorpusSplit, num_pictures: int) -> Stage:
    return Stage(
        name=f"draw {split}",
        kind="corpus",
        group="draw pictures",
        identity={"seed": config.corpus_seed, "split": split, "num_pictures": num_pictures},
        run=lambda inputs, writer, progress: draw_pictures(
            corpus_rows(num_pictures, config.corpus_seed, split), writer, progress
        ),
        resources=Resources(cpus=2),
        where=where_drawn(num_pictures),
    )


def _pretrain(
    config: PretrainConfig,
    source: Source,
    inputs: Inputs,
    *,
    writer: ArtifactWriter,
    progress: Progress,
) -> None:
    train, val = source.pairs(inputs)
    with tempfile.TemporaryDirectory() as folder:
        write_architecture(config, Path(folder))
        for file in Path(folder).iterdir():
            storage.put_file(str(file), writer.file(f"architecture/{file.name}"))
    history = train_clip(
        train,
        val,
        clip=ClipConfig(model=f"local-dir:{writer.file('architecture')}"),
        config=config.finetune,
        seed=config.seed,
        writer=writer,
        progress=progress,
        limits=ImageLimits(),
        random_weights=True,
        half=True,
    )
    writer.extra["settings"] = asdict(config.finetune)
    writer.extra["history"] = history
    writer.add_part(PAIRS_FILE, len(train))


def _copied(model: str, out: str) -> str:
    for name in storage.list_files(model):
        storage.write_bytes(storage.join(out, name), storage.read_bytes(storage.join(model, name)))
    return out


def write_architecture(config: PretrainConfig, folder: Path) -> None:
    """Writes an open_clip folder with config and tokenizer, without weights."""
    num_rows = save_tokenizer(folder, config.num_merges)
    model_cfg = json.loads(json.dumps(config.model_cfg))
    model_cfg["text_cfg"] |= {"vocab_size": num_rows, "hf_tokenizer_name": "tokenizer.json"}
    content = {"model_cfg": model_cfg, "preprocess_cfg": config.preprocess_cfg}
    (folder / "open_clip_config.json").write_text(json.dumps(content, indent=2) + "\n")
