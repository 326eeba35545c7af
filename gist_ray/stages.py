"""The graph of a run: which stages it needs, what each is made from, in the order of the flow.

Nothing here does work; a stage's work is the function it names.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from gist_ray import steps, storage
from gist_ray.artifacts import ArtifactStore
from gist_ray.config import RunConfig
from gist_ray.datasets.butterflies.collection import manifest_rows, picture_rows
from gist_ray.datasets.butterflies.config import WorldConfig
from gist_ray.datasets.butterflies.notes import field_notes
from gist_ray.datasets.butterflies.species import make_species
from gist_ray.datasets.ingest import ingest
from gist_ray.encoders.clip import fingerprint_of_weights
from gist_ray.encoders.config import ClipConfig
from gist_ray.flow import Stage
from gist_ray.matching.config import MatchingConfig
from gist_ray.schema import ERRORS, stable_id
from gist_ray.texts.prompting import Notes, build_prompts

FROZEN = "frozen"
SPEED_ONLY = {"batch_size", "max_workers", "cpus_per_worker", "gpus_per_worker", "max_decoders"}


@dataclass(frozen=True)
class RunGraph:
    """The stages of a run, and what was read to know them."""

    stages: list[Stage]
    manifest: pa.Table
    evaluations: dict[tuple[str, int | None, int], str]
    """(training, shots, seed) -> key of the stage that evaluates it; shots None means all."""
    matching_of: dict[tuple[str, int], str]
    """(training, seed) -> key of its match stage."""


def build_graph(config: RunConfig, store: ArtifactStore) -> RunGraph:
    """Read the manifest and lay out all stages.

    The manifest is read anew each time and counts by its content, so that a changed folder is a
    changed input. Raises UserError for a broken data set, or prompts that cannot be made.
    """
    made = _Stages()
    manifest, errors, pictures, notes = _read_data(config, store, made)
    source = made.add(
        Stage(
            "manifest",
            "manifest",
            {"content": _content(manifest)},
            lambda inputs, writer, progress: steps.store_manifest(manifest, errors, writer),
            {"pictures": pictures} if pictures else {},
        )
    )
    texts = _texts(config, source, manifest, notes, made)
    base = _embedded(config, "frozen", config.clip, {}, source, texts, None, made)
    matcher = base
    if config.matcher is not None and config.matcher != config.clip:
        matcher = _embedded(config, "matcher", config.matcher, {}, source, texts, None, made)
    evaluations: dict[tuple[str, int | None, int], str] = {}
    matching_of: dict[tuple[str, int], str] = {}
    for choice in config.study.shots:
        num_shots = None if choice == "full" else choice
        for seed in config.study.seeds:
            shots = made.add(_shots(config, source, num_shots, seed))
            evaluate = _evaluation(config, FROZEN, num_shots, seed, source, texts, shots, base)
            evaluations[FROZEN, num_shots, seed] = made.add(evaluate).key
            for training in config.study.trainings:
                match = _match(config, training, seed, source, texts, matcher, made)
                if match is not None:
                    matching_of[training, seed] = match.key
                tune = made.add(
                    _finetune(config, training, num_shots, seed, source, texts, shots, match, base)
                )
                tuned = _embedded(
                    config, tune.key.removeprefix("finetune "), None, {"tuned": tune}, source,
                    texts, shots, made,
                )
                evaluate = _evaluation(
                    config, training, num_shots, seed, source, texts, shots, tuned
                )
                evaluations[training, num_shots, seed] = made.add(evaluate).key
    return RunGraph(list(made.by_key.values()), manifest, evaluations, matching_of)


class _Stages:
    """Stages by key; adding one again gives the one that is there."""

    def __init__(self) -> None:
        self.by_key: dict[str, Stage] = {}

    def add(self, stage: Stage) -> Stage:
        return self.by_key.setdefault(stage.key, stage)


@dataclass(frozen=True)
class _Embedded:
    """The embedding stages of one model."""

    images: Stage
    texts: Stage


def _read_data(
    config: RunConfig, store: ArtifactStore, made: _Stages
) -> tuple[pa.Table, pa.Table, Stage | None, Notes | None]:
    """(manifest, errors, the stage that draws the pictures if they are drawn, notes if any)."""
    if not isinstance(config.data, WorldConfig):
        manifest, errors = ingest(config.data)
        return manifest, errors, None, steps.read_notes(config.texts.notes)
    species = make_species(config.data)
    rows = picture_rows(config.data, species)
    draw = made.add(
        Stage(
            "draw pictures",
            "pictures",
            asdict(config.data),
            lambda inputs, writer, progress: steps.draw_world(rows, species, writer, progress),
            cpus=2,
        )
    )
    folder = store.location(draw.kind, draw.fingerprint)
    return manifest_rows(rows, folder), ERRORS.empty_table(), draw, field_notes(species)


def _texts(
    config: RunConfig,
    manifest_stage: Stage,
    manifest: pa.Table,
    notes: Notes | None,
    made: _Stages,
) -> Stage:
    cleaning = asdict(config.texts.cleaning)
    prompts = asdict(config.prompts)
    for_captions = {name: prompts[name] for name in ("caption_prefix", "vocabulary")}
    clean_config = {"cleaning": cleaning, "clip": _clip_key(config.clip), **for_captions}
    if config.texts.import_from:
        return made.add(
            Stage(
                "import texts",
                "texts",
                {**clean_config, "source": _file_content(config.texts.import_from)},
                lambda inputs, writer, progress: steps.import_and_clean(config, inputs, writer),
                {"manifest": manifest_stage},
            )
        )
    requests = build_prompts(config.prompts, steps.classes_of(manifest), notes, config.seed)
    llm = asdict(config.llm)
    decides = {name: llm[name] for name in ("model", "max_model_len", "dtype", "seed", "engine_kwargs")}
    model = {**decides, "sampling": prompts["sampling"], "chat": prompts["chat"]}
    generate = made.add(
        Stage(
            "generate texts",
            "answers",
            {"model": model, "prompts": _content(requests)},
            lambda inputs, writer, progress: steps.generate_texts(
                config, requests, model, writer, progress
            ),
            cpus=config.llm.cpus_per_replica * config.llm.num_replicas,
        )
    )
    clean = made.add(
        Stage(
            "clean texts",
            "texts",
            clean_config,
            lambda inputs, writer, progress: steps.clean_answers(config, notes, inputs, writer),
            {"answers": generate},
        )
    )
    shortening = config.texts.shorten
    if shortening is None:
        return clean
    shorten = made.add(
        Stage(
            "shorten texts",
            "answers",
            {"model": decides, "shortening": asdict(shortening)},
            lambda inputs, writer, progress: steps.shorten_texts(
                shortening, config.llm, inputs, writer, progress
            ),
            {"texts": clean},
            cpus=config.llm.cpus_per_replica * config.llm.num_replicas,
        )
    )
    return made.add(
        Stage(
            "join short texts",
            "texts",
            {"shortening": asdict(shortening), "vocabulary": list(config.prompts.vocabulary)},
            lambda inputs, writer, progress: steps.join_shortened(
                shortening, config.prompts, inputs, writer
            ),
            {"texts": clean, "answers": shorten},
        )
    )


def _embedded(
    config: RunConfig,
    name: str,
    clip: ClipConfig | None,
    tuned: Mapping[str, Stage],
    manifest: Stage,
    texts: Stage,
    shots: Stage | None,
    made: _Stages,
) -> _Embedded:
    """Images and texts through one model: `clip`, or the one that the stage `tuned` leaves. A tuned
    model only embeds the images that its evaluation needs (`shots` and test)."""
    embed = asdict(config.embed)
    how: dict[str, Any] = {n: v for n, v in embed.items() if n not in SPEED_ONLY | {"rows_per_part"}}
    if clip is not None:
        how["clip"] = _clip_key(clip)
    images_of = {**tuned, "manifest": manifest, **({"shots": shots} if shots else {})}
    templates = {"templates": list(config.prompts.zero_shot_templates)}
    return _Embedded(
        images=made.add(
            Stage(
                f"embed images {name}",
                "image_embeddings",
                how,
                lambda inputs, writer, progress: steps.embed_images(
                    config, clip, inputs, writer, progress
                ),
                images_of,
                cpus=config.embed.cpus_per_worker,
            )
        ),
        texts=made.add(
            Stage(
                f"embed texts {name}",
                "text_embeddings",
                {**how, **templates},
                lambda inputs, writer, progress: steps.embed_texts(
                    config, clip, inputs, writer, progress
                ),
                {**tuned, "manifest": manifest, "texts": texts},
                cpus=config.embed.cpus_per_worker,
            )
        ),
    )


def _shots(config: RunConfig, manifest: Stage, num_shots: int | None, seed: int) -> Stage:
    rule = config.study.few_shot
    return Stage(
        f"sample {_draw_name(num_shots, seed)}",
        "shots",
        {"rule": rule, "shots": num_shots, "seed": seed} if num_shots else {"rule": "full"},
        lambda inputs, writer, progress: steps.sample_shots(rule, num_shots, seed, inputs, writer),
        {"manifest": manifest},
    )


def _match(
    config: RunConfig,
    training: str,
    seed: int,
    manifest: Stage,
    texts: Stage,
    embedded: _Embedded,
    made: _Stages,
) -> Stage | None:
    """The match stage of a training; None for the one whose captions are class names."""
    if training == "class_name":
        return None
    matching = config.matching
    if training != "gist":
        # A control has as many texts per image as what it is compared with.
        matching = MatchingConfig(variant=training, k=config.matching.k)  # type: ignore[arg-type]
    drawn = matching.variant in ("random", "sampled")
    return made.add(
        Stage(
            f"match {training}" + (f" seed {seed}" if drawn else ""),
            "matches",
            {**asdict(matching), **({"seed": seed} if drawn else {})},
            lambda inputs, writer, progress: steps.match_texts(matching, seed, inputs, writer),
            {
                "manifest": manifest,
                "texts": texts,
                "image_embeddings": embedded.images,
                "text_embeddings": embedded.texts,
            },
        )
    )


def _finetune(
    config: RunConfig,
    training: str,
    num_shots: int | None,
    seed: int,
    manifest: Stage,
    texts: Stage,
    shots: Stage,
    match: Stage | None,
    base: _Embedded,
) -> Stage:
    captions = (
        {"prefix": config.prompts.caption_prefix}
        if match
        else {"templates": list(config.prompts.zero_shot_templates)}
    )
    return Stage(
        f"finetune {training} {_draw_name(num_shots, seed)}",
        "finetuned",
        {
            "recipe": steps.recipe(config.finetune),
            "clip": _clip_key(config.clip),
            "seed": seed,
            **captions,
        },
        lambda inputs, writer, progress: steps.finetune(config, seed, inputs, writer, progress),
        {
            "manifest": manifest,
            "shots": shots,
            # which images can be read
            "image_embeddings": base.images,
            **({"texts": texts, "matches": match} if match else {}),
        },
        cpus=config.finetune.cpus_per_worker * config.finetune.num_workers,
    )


def _evaluation(
    config: RunConfig,
    training: str,
    num_shots: int | None,
    seed: int,
    manifest: Stage,
    texts: Stage,
    shots: Stage,
    embedded: _Embedded,
) -> Stage:
    setting = steps.setting(config, training, num_shots, seed)
    return Stage(
        f"evaluate {training} {_draw_name(num_shots, seed)}",
        "evaluation",
        {**asdict(config.evaluation), **asdict(setting)},
        lambda inputs, writer, progress: steps.evaluate_model(config, setting, inputs, writer),
        {
            "manifest": manifest,
            "texts": texts,
            "shots": shots,
            "image_embeddings": embedded.images,
            "text_embeddings": embedded.texts,
        },
    )


def _draw_name(num_shots: int | None, seed: int) -> str:
    return f"{num_shots}-shot seed {seed}" if num_shots else f"all images seed {seed}"


def _clip_key(clip: ClipConfig) -> dict[str, Any]:
    return {**asdict(clip), "weights": fingerprint_of_weights(clip)}


def _content(table: pa.Table) -> str:
    """A hash of a table's rows."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return stable_id(bytes(sink.getvalue()).hex())


def _file_content(uri: str) -> str:
    return stable_id(storage.read_bytes(uri).hex())
