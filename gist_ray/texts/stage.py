"""The stages that make a run's sets of texts.

The set "class" is imported or generated, then cleaned, and optionally shortened. The set "names"
has the class names in their zero-shot templates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import pyarrow as pa

from gist_ray.datasets.manifest import read_manifest
from gist_ray.encoders.config import ClipConfig
from gist_ray.encoders.context import fits_context
from gist_ray.errors import UserError
from gist_ray.llm.config import LlmConfig, folders_of, resources_of
from gist_ray.llm.generate import generate
from gist_ray.llm.reuse import adopt_answers
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Stage
from gist_ray.schema import TEXTS, stable_id, table
from gist_ray.settings.declare import identity_of
from gist_ray.store import storage
from gist_ray.store.artifacts import (
    Artifact,
    ArtifactWriter,
    file_content,
    fingerprint,
    table_content,
)
from gist_ray.texts.clean import CheckName, clean_texts, texts_from_answers
from gist_ray.texts.config import TextsConfig
from gist_ray.texts.foreign import about_foreign
from gist_ray.texts.import_texts import import_texts
from gist_ray.texts.prompt_set import PromptSet, caption, zero_shot_prompts
from gist_ray.texts.prompting import Notes, build_prompts
from gist_ray.texts.shorten import ShorteningConfig, build_shortening_prompts, join_short_texts

IMPORTED_PAIRS_FILE = "imported_pairs.parquet"
"""The file with the pairs of imported captions and their images, as MATCHES without
similarities."""

CHECKS_OF_PAIRS = ("empty", "too_long")
"""The checks that apply to imported pairs. A text that fails them cannot be trained on."""

CLEANING_VERSION = 2
"""Version 2 has another language detector."""

NAMES = "names"
"""The name of the set of class names in their zero-shot templates."""

Inputs = Mapping[str, Artifact]


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """The settings and inputs from which the texts of a run's classes are made."""

    texts: TextsConfig
    prompts: PromptSet
    llm: LlmConfig
    seed: int
    """The seed of the draw of facts for each prompt."""

    clip: ClipConfig
    """The model whose text tower a caption has to fit."""

    clip_identity: Mapping[str, Any]
    manifest: Stage
    rows: pa.Table
    """The MANIFEST that the stage `manifest` will write."""

    classes: Sequence[tuple[int, str]]
    """(label, class name), by label."""

    notes: Notes | None


def texts_stage(source: TextSource) -> Stage:
    """Returns the stage that writes the TEXTS of the set "class".

    Raises UserError if prompts cannot be built from the prompt set, the classes and their notes, or
    if texts.use_pairs is true and the imported file is broken or pairs no image with a caption.
    """
    if source.texts.import_from:
        return _import(source)
    clean = _clean(source, _generate(source))
    shortening = source.texts.shorten
    return clean if shortening is None else _shorten(source, shortening, clean)


def names_stage(prompts: PromptSet, classes: Sequence[tuple[int, str]]) -> Stage:
    """Returns the stage that writes the TEXTS of the set "names": each class name in each of the
    zero-shot templates."""
    rows = [
        {
            "text_id": stable_id(NAMES, label, number),
            "set": NAMES,
            "label": label,
            "class_name": name,
            "axis": prompts.zero_shot_templates[number],
            "prompt_id": "",
            "sample": 0,
            "prompt": "",
            "raw": text,
            "text": text,
            "model": "",
            "sampling_params": "{}",
        }
        for label, name in classes
        for number, text in enumerate(zero_shot_prompts(prompts, name))
    ]
    names = table(rows, TEXTS)
    return Stage(
        name="class names",
        kind="texts",
        group="class names",
        identity={"names": table_content(names)},
        run=lambda inputs, writer, progress: writer.write(names),
        num_rows=len(rows),
    )


def _cleaning(source: TextSource) -> dict[str, Any]:
    return {
        "cleaning": identity_of(source.texts.cleaning),
        "vocabulary": source.prompts.vocabulary,
        "notes": fingerprint("notes", source.notes or {}, {}),
        # these two decide whether a caption is too long
        "caption_prefix": source.prompts.caption_prefix,
        "clip": source.clip_identity,
    }


def _cleaned(source: TextSource, texts: pa.Table) -> pa.Table:
    def fits(candidates: Sequence[str], class_names: Sequence[str]) -> list[bool]:
        captions = [
            caption(source.prompts, name, text)
            for name, text in zip(class_names, candidates, strict=True)
        ]
        return fits_context(source.clip, captions)

    cleaning = source.texts.cleaning
    if source.texts.use_pairs:
        others = [name for name in get_args(CheckName) if name not in CHECKS_OF_PAIRS]
        cleaning = replace(cleaning, skip=[*cleaning.skip, *others])
    return clean_texts(
        texts,
        cleaning,
        fits=fits,
        vocabulary=source.prompts.vocabulary,
        notes=source.notes,
    )


def _write_cleaned(
    source: TextSource, texts: pa.Table, writer: ArtifactWriter, *, progress: Progress
) -> None:
    cleaned = _cleaned(source, texts)
    if foreign := about_foreign(cleaned, source.texts.cleaning.language):
        progress.say(writer.stage, foreign)
    writer.write(cleaned)


def _import(source: TextSource) -> Stage:
    uri, unknown_images = source.texts.import_from, source.texts.unknown_images
    use_pairs = source.texts.use_pairs
    if use_pairs and import_texts(uri, source.rows, unknown_images).matches is None:
        raise UserError(
            f"texts.use_pairs=true: {uri} has texts of classes and pairs no image with a caption. "
            "Give a JSON file {image: [captions]}, or set texts.use_pairs to false to match its "
            "texts."
        )

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        imported = import_texts(uri, read_manifest(inputs["manifest"]), unknown_images)
        if imported.num_unknown:
            skipped = f"skipped {imported.num_unknown:,} images that are not in the data set"
            progress.say(writer.stage, skipped)
        if use_pairs:
            storage.write_parquet(writer.file(IMPORTED_PAIRS_FILE), imported.matches)
        _write_cleaned(source, imported.texts, writer, progress=progress)

    content = {
        "source": file_content(uri),
        "unknown_images": unknown_images,
        "use_pairs": use_pairs,
    }
    return Stage(
        name="import texts",
        kind="texts",
        group="import texts",
        version=CLEANING_VERSION,
        identity={**_cleaning(source), **content},
        run=run,
        inputs={"manifest": source.manifest},
    )


def _generate(source: TextSource) -> Stage:
    prompts, llm = source.prompts, source.llm
    requests = build_prompts(prompts, source.classes, source.notes, seed=source.seed)
    model = {
        **identity_of(llm),
        "sampling": identity_of(prompts.sampling),
        "chat": prompts.chat,
    }

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        adopted = adopt_answers(requests, model, writer)
        if adopted:
            progress.say(writer.stage, f"{adopted:,} answers taken over from earlier runs")
        generate(
            requests,
            llm,
            sampling=prompts.sampling,
            chat=prompts.chat,
            writer=writer,
            progress=progress,
        )

    return Stage(
        name="generate texts",
        kind="answers",
        group="generate texts",
        identity={"model": model, "prompts": table_content(requests)},
        run=run,
        resources=resources_of(llm),
        folders=folders_of(llm),
        num_rows=len(requests),
        where="Ray Data",
    )


def _clean(source: TextSource, answers: Stage) -> Stage:
    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        texts = texts_from_answers(inputs["answers"].read())
        _write_cleaned(source, texts, writer, progress=progress)

    return Stage(
        name="clean texts",
        kind="texts",
        group="clean texts",
        version=CLEANING_VERSION,
        identity=_cleaning(source),
        run=run,
        inputs={"answers": answers},
    )


def _shorten(source: TextSource, shortening: ShorteningConfig, texts: Stage) -> Stage:
    llm, vocabulary = source.llm, source.prompts.vocabulary

    def ask(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        requests = build_shortening_prompts(inputs["texts"].read(), shortening, vocabulary)
        if len(requests):
            generate(
                requests,
                llm,
                sampling=shortening.sampling,
                chat=shortening.chat,
                writer=writer,
                progress=progress,
            )

    def join(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        joined, answers = inputs["texts"].read(), inputs["answers"]
        if answers.info["parts"]:
            short = answers.read()
            joined, reasons = join_short_texts(joined, short, shortening, vocabulary=vocabulary)
            writer.extra["without_short_text"] = reasons
        writer.write(joined)

    held_to = {"vocabulary": vocabulary} if shortening.held else {}
    answers = Stage(
        name="shorten texts",
        kind="answers",
        group="shorten texts",
        identity={
            "model": identity_of(llm),
            "shortening": identity_of(shortening),
            **held_to,
        },
        run=ask,
        inputs={"texts": texts},
        resources=resources_of(llm),
        folders=folders_of(llm),
        where="Ray Data",
    )
    return Stage(
        name="join short texts",
        kind="texts",
        group="join short texts",
        identity={"shortening": identity_of(shortening), "vocabulary": vocabulary},
        run=join,
        inputs={"texts": texts, "answers": answers},
    )
