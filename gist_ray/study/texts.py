"""The texts of a run: imported, or generated; then cleaned, and shortened if asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import pyarrow as pa

from gist_ray.datasets.manifest import read_manifest
from gist_ray.encoders.clip import fits_context
from gist_ray.errors import UserError
from gist_ray.llm.config import LlmConfig
from gist_ray.llm.generate import generate
from gist_ray.llm.reuse import adopt_answers
from gist_ray.run.flow import Stage
from gist_ray.run.progress import Progress
from gist_ray.settings.declare import identity_of
from gist_ray.store import storage
from gist_ray.store.artifacts import (
    Artifact,
    ArtifactWriter,
    file_content,
    fingerprint,
    table_content,
)
from gist_ray.study.config import RunConfig
from gist_ray.study.data import Data
from gist_ray.texts.clean import CheckName, clean_texts, texts_from_answers
from gist_ray.texts.import_texts import import_texts
from gist_ray.texts.prompt_set import PromptSet, caption
from gist_ray.texts.prompting import build_prompts
from gist_ray.texts.shorten import ShorteningConfig, build_shortening_prompts, join_short_texts

IMPORTED_PAIRS_FILE = "imported_pairs.parquet"
"""In the folder of imported texts that keep their pairing: which image came with which text, as
MATCHES without similarities."""

CHECKS_OF_PAIRS = ("empty", "too_long")
"""The checks that apply to imported pairs: what fails them cannot be trained on as it stands."""


def texts_stage(config: RunConfig, data: Data, clip: Mapping[str, Any]) -> Stage:
    """The stage that leaves the TEXTS table which all others use.

    clip: the `clip_key` of the model whose text tower the texts have to fit.

    Raises UserError if prompts cannot be made of the prompt set, the classes and their notes, or if
    texts.use_pairs is true and the imported file is broken or pairs no image with a caption.
    """
    if config.texts.import_from:
        return _import(config, data, clip)
    clean = _clean(config, data, clip, _generate(config, data))
    return clean if config.texts.shorten is None else _shorten(config, config.texts.shorten, clean)


def _cleaning_key(config: RunConfig, data: Data, clip: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "cleaning": identity_of(config.texts.cleaning),
        "vocabulary": config.prompts.vocabulary,
        "notes": fingerprint("notes", data.notes or {}, {}),
        # what decides whether a caption is too long
        "caption_prefix": config.prompts.caption_prefix,
        "clip": clip,
    }


def _cleaned(config: RunConfig, data: Data, texts: pa.Table) -> pa.Table:
    def fits(candidates: Sequence[str], class_names: Sequence[str]) -> list[bool]:
        captions = [
            caption(config.prompts, name, text)
            for name, text in zip(class_names, candidates, strict=True)
        ]
        return fits_context(config.clip, captions)

    cleaning = config.texts.cleaning
    if config.texts.use_pairs:
        others = [name for name in get_args(CheckName) if name not in CHECKS_OF_PAIRS]
        cleaning = replace(cleaning, skip=[*cleaning.skip, *others])
    return clean_texts(
        texts,
        cleaning,
        fits=fits,
        vocabulary=config.prompts.vocabulary,
        notes=data.notes,
    )


def _import(config: RunConfig, data: Data, clip: Mapping[str, Any]) -> Stage:
    source, unknown_images = config.texts.import_from, config.texts.unknown_images
    use_pairs = config.texts.use_pairs
    if use_pairs and import_texts(source, data.manifest, unknown_images).matches is None:
        raise UserError(
            f"texts.use_pairs=true: {source} has texts of classes and pairs no image with a "
            "caption. Give a JSON file {image: [captions]}, or set texts.use_pairs to false to "
            "match its texts."
        )

    def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        imported = import_texts(source, read_manifest(inputs["manifest"]), unknown_images)
        if imported.num_unknown:
            skipped = f"skipped {imported.num_unknown:,} images that are not in the data set"
            progress.say(writer.stage, skipped)
        if use_pairs:
            storage.write_parquet(writer.file(IMPORTED_PAIRS_FILE), imported.matches)
        writer.write(_cleaned(config, data, imported.texts))

    content = {"source": file_content(source), "unknown_images": unknown_images}
    key = {**_cleaning_key(config, data, clip), **content}
    if use_pairs:
        key["use_pairs"] = True
    return Stage("import texts", "texts", key, run, {"manifest": data.stage})


def _generate(config: RunConfig, data: Data) -> Stage:
    prompts = config.prompts
    requests = build_prompts(prompts, data.classes, data.notes, config.seed)
    model = {
        **identity_of(config.llm),
        "sampling": identity_of(prompts.sampling),
        "chat": prompts.chat,
    }

    def run(inputs: object, writer: ArtifactWriter, progress: Progress) -> None:
        adopted = adopt_answers(requests, model, writer)
        if adopted:
            progress.say(writer.stage, f"{adopted:,} answers taken over from earlier runs")
        generate(requests, config.llm, prompts.sampling, prompts.chat, writer, progress)

    return Stage(
        "generate texts",
        "answers",
        {"model": model, "prompts": table_content(requests)},
        run,
        cpus=_cpus(config.llm),
        gpus=_gpus(config.llm),
        num_rows=len(requests),
    )


def _clean(config: RunConfig, data: Data, clip: Mapping[str, Any], answers: Stage) -> Stage:
    def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        texts = texts_from_answers(inputs["answers"].read())
        writer.write(_cleaned(config, data, texts))

    return Stage(
        "clean texts", "texts", _cleaning_key(config, data, clip), run, {"answers": answers}
    )


def _shorten(config: RunConfig, shortening: ShorteningConfig, texts: Stage) -> Stage:
    def ask(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        texts = inputs["texts"].read()
        requests = build_shortening_prompts(texts, shortening, config.prompts.vocabulary)
        if len(requests):
            sampling, chat = shortening.sampling, shortening.chat
            generate(requests, config.llm, sampling, chat, writer, progress)

    held_to = {"vocabulary": config.prompts.vocabulary} if shortening.held else {}
    answers = Stage(
        "shorten texts",
        "answers",
        {
            "model": identity_of(config.llm),
            "shortening": identity_of(shortening),
            **held_to,
        },
        ask,
        {"texts": texts},
        cpus=_cpus(config.llm),
        gpus=_gpus(config.llm),
    )
    return Stage(
        "join short texts",
        "texts",
        {"shortening": identity_of(shortening), "vocabulary": config.prompts.vocabulary},
        lambda inputs, writer, progress: _join(shortening, config.prompts, inputs, writer),
        {"texts": texts, "answers": answers},
    )


def _join(
    shortening: ShorteningConfig,
    prompts: PromptSet,
    inputs: Mapping[str, Artifact],
    writer: ArtifactWriter,
) -> None:
    texts, answers = inputs["texts"].read(), inputs["answers"]
    if answers.info["parts"]:
        texts, reasons = join_short_texts(texts, answers.read(), shortening, prompts.vocabulary)
        writer.extra["without_short_text"] = reasons
    writer.write(texts)


def _cpus(llm: LlmConfig) -> float:
    return llm.cpus_per_replica * llm.num_replicas


def _gpus(llm: LlmConfig) -> float:
    """For "auto" one each, which counts only where there are GPUs."""
    return llm.num_replicas * (1 if llm.gpus_per_replica == "auto" else llm.gpus_per_replica)
