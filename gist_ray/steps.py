"""The work of every stage: read the input artifacts, call the domain's function, fill the writer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray import storage
from gist_ray.artifacts import Artifact, ArtifactWriter
from gist_ray.captions import pairs_of_matches, pairs_of_names, sampled_images
from gist_ray.config import RunConfig
from gist_ray.datasets.butterflies.notes import field_notes
from gist_ray.datasets.butterflies.species import Species
from gist_ray.datasets.fewshot import sample_coop, sample_full, sample_nested
from gist_ray.datasets.stage import draw_pictures
from gist_ray.encoders.clip import fits_context, load_clip
from gist_ray.encoders.config import ClipConfig
from gist_ray.encoders.stage import embed_image_rows, embed_text_rows
from gist_ray.errors import UserError
from gist_ray.evaluation.evaluate import ClassTexts, LabelledImages, Setting, evaluate
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.finetune.trainer import train_clip
from gist_ray.matching.config import MatchingConfig
from gist_ray.matching.inputs import embedding_matrix, usable_texts, without_embedding
from gist_ray.matching.match import match
from gist_ray.progress import Progress
from gist_ray.schema import PAIRS, table
from gist_ray.texts.clean import clean_texts, texts_from_answers
from gist_ray.texts.import_texts import import_texts
from gist_ray.texts.llm_config import LlmConfig
from gist_ray.texts.prompt_set import PromptSet, caption, zero_shot_prompts
from gist_ray.texts.prompting import Notes
from gist_ray.texts.reuse import adopt_answers
from gist_ray.texts.shorten import (
    ShorteningConfig,
    build_shortening_prompts,
    join_short_texts,
)
from gist_ray.texts.stage import generate

Inputs = Mapping[str, Artifact]

NAME_PREFIX = "name/"
"""A row of text embeddings with this id is a class name in a zero-shot template."""


def store_manifest(manifest: pa.Table, errors: pa.Table, writer: ArtifactWriter) -> None:
    writer.write(manifest)
    writer.add_errors(errors)


def draw_world(
    rows: pa.Table, species: Sequence[Species], writer: ArtifactWriter, progress: Progress
) -> None:
    """Draw the pictures of a world; its field notes lie beside them."""
    storage.write_json(writer.file("notes.json"), field_notes(species))
    draw_pictures(rows, writer, progress)


def read_notes(uri: str) -> Notes | None:
    """Notes on classes from the user's JSON file; None for "". """
    if not uri:
        return None
    try:
        notes: Notes = storage.read_json(uri)
    except FileNotFoundError as error:
        raise UserError(f"texts.notes={uri}: there is no such file.") from error
    except json.JSONDecodeError as error:
        raise UserError(f"texts.notes={uri}: line {error.lineno} is not valid JSON.") from error
    return notes


def classes_of(manifest: pa.Table) -> list[tuple[int, str]]:
    """(label, class name) of every class, by label."""
    labelled = manifest.select(["label", "class_name"]).drop_null()
    pairs = labelled.group_by(["label", "class_name"]).aggregate([]).to_pylist()
    return sorted((row["label"], row["class_name"]) for row in pairs)


def generate_texts(
    config: RunConfig, requests: pa.Table, model: Mapping[str, Any], writer: ArtifactWriter,
    progress: Progress,
) -> None:
    """Have the language model answer what no earlier run of the same model has."""
    adopted = adopt_answers(requests, model, writer)
    if adopted:
        progress.say(writer.stage, f"{adopted:,} answers taken over from earlier runs")
    generate(
        requests, config.llm, config.prompts.sampling, config.prompts.chat, writer, progress
    )


def clean_answers(
    config: RunConfig, notes: Notes | None, inputs: Inputs, writer: ArtifactWriter
) -> None:
    texts = texts_from_answers(inputs["answers"].read())
    writer.write(_cleaned(config, texts, notes))


def import_and_clean(config: RunConfig, inputs: Inputs, writer: ArtifactWriter) -> None:
    texts = import_texts(config.texts.import_from, inputs["manifest"].read()).texts
    writer.write(_cleaned(config, texts, None))


def _cleaned(config: RunConfig, texts: pa.Table, notes: Notes | None) -> pa.Table:
    def fits(candidates: Sequence[str], class_names: Sequence[str]) -> list[bool]:
        captions = [
            caption(config.prompts, name, text)
            for name, text in zip(class_names, candidates, strict=True)
        ]
        return fits_context(config.clip, captions)

    return clean_texts(
        texts,
        config.texts.cleaning,
        fits=fits,
        vocabulary=config.prompts.vocabulary,
        notes=notes,
    )


def shorten_texts(
    shortening: ShorteningConfig, llm: LlmConfig, inputs: Inputs, writer: ArtifactWriter,
    progress: Progress,
) -> None:
    requests = build_shortening_prompts(inputs["texts"].read(), shortening)
    if len(requests):
        generate(requests, llm, shortening.sampling, shortening.chat, writer, progress)


def join_shortened(
    shortening: ShorteningConfig, prompts: PromptSet, inputs: Inputs, writer: ArtifactWriter
) -> None:
    texts = inputs["texts"].read()
    answers = inputs["answers"]
    if answers.info["parts"]:
        texts, reasons = join_short_texts(texts, answers.read(), shortening, prompts.vocabulary)
        writer.extra["without_short_text"] = reasons
    writer.write(texts)


def embed_images(
    config: RunConfig, clip: ClipConfig | None, inputs: Inputs, writer: ArtifactWriter,
    progress: Progress,
) -> None:
    """All images of the manifest; with an input "shots" only its images and the test split."""
    manifest = inputs["manifest"].read()
    if "shots" in inputs:
        shots = inputs["shots"].read(["image_id"]).column("image_id").combine_chunks()
        sampled = pc.is_in(manifest.column("image_id"), value_set=shots)
        manifest = manifest.filter(pc.or_(sampled, pc.equal(manifest.column("split"), "test")))
    embed_image_rows(manifest, _model(clip, inputs), config.embed, writer, progress)


def embed_texts(
    config: RunConfig, clip: ClipConfig | None, inputs: Inputs, writer: ArtifactWriter,
    progress: Progress,
) -> None:
    """All accepted texts, and the class names in the zero-shot templates."""
    model = _model(clip, inputs)
    texts = usable_texts(inputs["texts"].read()).select(["text_id", "text"])
    names = [
        {"text_id": f"{NAME_PREFIX}{label}/{index}", "text": prompt}
        for label, name in classes_of(inputs["manifest"].read())
        for index, prompt in enumerate(zero_shot_prompts(config.prompts, name))
    ]
    rows = pa.concat_tables([texts, table(names, texts.schema)])
    writer.extra["logit_scale"] = load_clip(model).logit_scale
    embed_text_rows(rows, model, config.embed, writer, progress)


def _model(clip: ClipConfig | None, inputs: Inputs) -> ClipConfig:
    return clip or ClipConfig(model=f"local-dir:{inputs['tuned'].file('model')}")


def sample_shots(
    rule: str, num_shots: int | None, seed: int, inputs: Inputs, writer: ArtifactWriter
) -> None:
    manifest = inputs["manifest"].read()
    if num_shots is None:
        writer.write(sample_full(manifest))
    else:
        sample = sample_coop if rule == "coop" else sample_nested
        writer.write(sample(manifest, num_shots, seed))


def match_texts(
    matching: MatchingConfig, seed: int, inputs: Inputs, writer: ArtifactWriter
) -> None:
    tables = [
        inputs[name].read() for name in ("manifest", "image_embeddings", "texts", "text_embeddings")
    ]
    writer.add_errors(without_embedding(*tables))
    writer.write(match(*tables, matching, seed))


def finetune(
    config: RunConfig, seed: int, inputs: Inputs, writer: ArtifactWriter, progress: Progress
) -> None:
    """Train on the sample's images with their captions; val images only choose the epoch."""
    manifest, shots = inputs["manifest"].read(), inputs["shots"].read()
    readable = set(inputs["image_embeddings"].read(["image_id"]).column("image_id").to_pylist())
    if "matches" in inputs:
        pairs = pairs_of_matches(
            manifest, shots, inputs["matches"].read(), inputs["texts"].read(), config.prompts
        )
    else:
        pairs = pairs_of_names(manifest, shots, readable, config.prompts)
    val = sampled_images(manifest, shots, "val")
    val = val.filter(pc.is_in(val.column("image_id"), value_set=pa.array(sorted(readable))))
    val_pairs = table([{**row, "captions": []} for row in val.to_pylist()], PAIRS)
    history = train_clip(pairs, val_pairs, config.clip, config.finetune, seed, writer, progress)
    writer.write(pa.Table.from_pylist(history), "history.parquet")


def recipe(config: FinetuneConfig) -> dict[str, Any]:
    """The part of the config that decides what the trained weights are: without what only says
    where and how fast it runs."""
    where = ("cpus_per_worker", "gpus_per_worker", "loader_processes", "cache_mib", "max_failures")
    left_out = {*where, "grad_checkpointing"}
    return {name: value for name, value in asdict(config).items() if name not in left_out}


def setting(config: RunConfig, training: str, num_shots: int | None, seed: int) -> Setting:
    with_k = training not in ("frozen", "class_name", "all")
    return Setting(
        training=training,
        backbone=" ".join(filter(None, [config.clip.model, config.clip.pretrained])),
        k=config.matching.k if with_k else None,
        shots=num_shots,
        seed=seed,
    )


def evaluate_model(
    config: RunConfig, of: Setting, inputs: Inputs, writer: ArtifactWriter
) -> None:
    """METRICS as the artifact's rows, and the test predictions of each head beside them."""
    manifest, shots = inputs["manifest"].read(), inputs["shots"].read()
    test = manifest.filter(pc.equal(manifest.column("split"), "test"))
    embeddings = inputs["image_embeddings"].read()
    row_of = {image_id: row for row, image_id in enumerate(embeddings["image_id"].to_pylist())}
    features = embedding_matrix(embeddings)

    def split(images: pa.Table) -> LabelledImages:
        ids = images.column("image_id").to_pylist()
        labels = images.column("label").to_pylist()
        known = [(i, label) for i, label in zip(ids, labels, strict=True) if i in row_of]
        return LabelledImages(
            [image_id for image_id, _ in known],
            features[[row_of[image_id] for image_id, _ in known]],
            np.array([label for _, label in known], np.int64),
        )

    class_texts, templates = _class_texts(inputs)
    result = evaluate(
        split(sampled_images(manifest, shots, "train")),
        split(sampled_images(manifest, shots, "val")),
        split(test),
        class_texts,
        templates,
        inputs["text_embeddings"].info["logit_scale"],
        len(classes_of(manifest)),
        of,
        config.evaluation,
    )
    writer.write(result.metrics)
    for head, predictions in result.predictions.items():
        storage.write_parquet(writer.file(f"predictions/{head}.parquet"), predictions)


def _class_texts(inputs: Inputs) -> tuple[ClassTexts, np.ndarray]:
    """The classes' texts, and the names: (num_templates, num_classes, dim)."""
    embeddings = inputs["text_embeddings"].read()
    ids = embeddings.column("text_id").to_pylist()
    features = dict(zip(ids, embedding_matrix(embeddings), strict=True))
    rows = usable_texts(inputs["texts"].read()).to_pylist()
    texts = ClassTexts(
        [row["text"] for row in rows],
        np.stack([features[row["text_id"]] for row in rows]),
        np.array([row["label"] for row in rows], np.int64),
    )
    names = sorted(
        (int(index), int(label), text_id)
        for text_id in ids
        if text_id.startswith(NAME_PREFIX)
        for _, label, index in [text_id.split("/")]
    )
    num_templates = names[-1][0] + 1
    stacked = np.stack([features[text_id] for _, _, text_id in names])
    return texts, stacked.reshape(num_templates, len(names) // num_templates, -1)
