"""RunConfig: the stages' own settings put together, and the check of the whole before any work."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from gist_ray.datasets.config import DataConfig, Layout
from gist_ray.datasets.shard_files import is_pattern
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.encoders.config import ClipConfig, EmbedConfig
from gist_ray.errors import UserError
from gist_ray.evaluation.config import EvaluationConfig
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.llm.config import LlmConfig
from gist_ray.matching.config import MatchingConfig
from gist_ray.settings.declare import MAX_INT32, Runtime, settings
from gist_ray.store import storage
from gist_ray.store.reachable import why_missing
from gist_ray.store.s3 import holds_credentials
from gist_ray.texts.config import TextsConfig
from gist_ray.texts.prompt_set import PromptSet

CREDENTIALS_FIX = (
    "holds credentials, which would be written down with the config. Take them out of the address "
    "and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or a role in the environment."
)

Training = Literal["gist", "class_name", "random", "all", "any_class"]
Seed = Annotated[int, Field(ge=0, le=MAX_INT32)]
Shots = Annotated[int, Field(ge=1, le=MAX_INT32)] | Literal["full"]


def _default_trainings() -> list[Training]:
    return ["class_name", "random", "gist"]


def _default_shots() -> list[Shots]:
    return [5]


@settings
class StudyConfig:
    """What is compared with what: every training at every number of shots with every seed."""

    trainings: list[Training] = Field(default_factory=_default_trainings)
    """Fine-tunings, each with its own captions: gist (the texts that `matching` chooses),
    class_name (zero-shot templates, as FLYP), random, all, any_class. The model as it came
    ("frozen") always stands beside them; an empty list leaves it alone."""

    shots: Annotated[list[Shots], Field(min_length=1)] = Field(default_factory=_default_shots)
    """Training images per class, or `full` for all of them."""

    seeds: Annotated[list[Seed], Field(min_length=1)] = Field(default_factory=lambda: [1, 2, 3])
    """One draw of the training images, and one training on them, per seed."""

    few_shot: Literal["coop", "nested"] = "coop"
    """How images are drawn: CoOp's rule to the letter, or samples where fewer shots are always
    part of more."""

    @field_validator("trainings", "shots", "seeds")
    @classmethod
    def _once_each(cls, values: list[Any]) -> list[Any]:
        twice = sorted({str(value) for value in values if values.count(value) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands there more than once")
        return values


@settings
class RunConfig:
    """One run of the pipeline."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), Runtime] = "butterflies"
    """Name of the run: its folder below root/runs. Letters, digits, dot, dash, underscore."""

    root: Annotated[str, Runtime] = "results"
    """Where artifacts and runs are kept: a local folder or s3://bucket/prefix."""

    seed: Seed = 0
    """Seed of everything that is not drawn per study seed: prompts' facts, bootstrap."""

    max_failed_fraction: Annotated[float, Field(ge=0, le=1), Runtime] = 0.01
    """Largest share of rows of a stage that may fail before the run ends with exit code 1."""

    data: Annotated[DataConfig | WorldConfig, Field(discriminator="layout")] = Field(
        default_factory=WorldConfig
    )
    """The labelled images."""

    prompts: PromptSet
    """What the language model is asked for."""

    llm: LlmConfig = Field(default_factory=LlmConfig)
    """The language model."""

    texts: TextsConfig = Field(default_factory=TextsConfig)
    """Ready-made texts, cleaning and shortening."""

    clip: ClipConfig = Field(default_factory=ClipConfig)
    """The vision-language model that is fine-tuned and evaluated."""

    matcher: ClipConfig | None = None
    """The vision-language model that matches texts to images; null takes `clip`."""

    embed: EmbedConfig = Field(default_factory=EmbedConfig)
    """How images and texts are embedded."""

    matching: MatchingConfig = Field(default_factory=MatchingConfig)
    """How images get their texts."""

    finetune: FinetuneConfig
    """How the model is fine-tuned on the pairs."""

    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    """How classifiers are fitted and measured."""

    study: StudyConfig = Field(default_factory=StudyConfig)
    """What is compared."""

    @model_validator(mode="after")
    def _pairs_are_not_matched_anew(self) -> "RunConfig":
        if not self.texts.use_pairs:
            return self
        unused = [
            f"matching.{name}={value}"
            for name, value in asdict(self.matching).items()
            if name != "k" and value != getattr(MatchingConfig(), name)
        ]
        if unused:
            raise ValueError(
                f"texts.use_pairs=true takes the matches from {self.texts.import_from}, and "
                f"{', '.join(unused)} would match anew; leave that out, or set texts.use_pairs to "
                "false"
            )
        return self


def build(config_type: type, values: dict[str, Any]) -> Any:
    """The checked settings object of a composed config.

    Raises UserError with every unknown key, wrong type and impossible value at once, and with the
    files that are not there: those who mend one want to know of the other. Credentials in a value
    are told alone, for the other findings show values.
    """
    if secrets := credential_problems(values):
        raise UserError(secrets)
    try:
        return TypeAdapter(config_type).validate_python(values)
    except ValidationError as error:
        problems = [*_sentences(config_type, error), *missing_files(values)]
        raise UserError(problems) from error


def credential_problems(values: Any, key: str = "") -> list[str]:
    """Settings whose value holds credentials, without showing them."""
    if isinstance(values, str):
        return [f"{key}: {CREDENTIALS_FIX}"] if holds_credentials(values) else []
    if isinstance(values, Mapping):
        inner = [(f"{key}.{name}".lstrip("."), value) for name, value in values.items()]
    else:
        inner = [(key, value) for value in values] if isinstance(values, list) else []
    return [problem for name, value in inner for problem in credential_problems(value, name)]


def missing_files(values: Mapping[str, Any]) -> list[str]:
    """Files that a config names and that are not there; `values` need not be valid otherwise."""
    problems = []
    for section, name in FILES:
        group = values.get(section)
        uri = group.get(name) if isinstance(group, Mapping) else None
        if uri and isinstance(uri, str) and not is_pattern(uri):
            why = why_missing(uri)
            if not why and name != "path" and storage.is_folder(uri):
                why = "is a folder and has to be a file"
            problems += [f"{section}.{name}={uri}: {why}."] if why else []
    return problems


def _sentences(config_type: type, error: ValidationError) -> list[str]:
    """Pydantic's findings as key, what was seen, what is wrong, and the fix."""
    sentences = []
    wrong_values: dict[str, list[str]] = {}
    for found in error.errors():
        path = [part for part in found["loc"] if not _is_union_tag(part)]
        key = ".".join(str(part) for part in path) or "config"
        if found["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            fix = _fix_of_unknown(config_type, path)
            sentences.append(f"{key}: there is no such setting. {fix}")
        elif found["type"] == "missing":
            choose = f"Choose its group, such as {path[0]}=..., or set it."
            sentences.append(f"{key}: is not set. {choose}")
        else:
            seen = "" if isinstance(found["input"], dict) else f"={found['input']!r}"
            message = re.sub(r"^Value error, ", "", found["msg"])
            # one finding for each alternative that the value could have been
            wrong_values.setdefault(f"{key}{seen}", []).append(message)
    return [
        *(f"{place}: {', or: '.join(messages)}." for place, messages in wrong_values.items()),
        *sentences,
    ]


def _fix_of_unknown(config_type: type, path: list[Any]) -> str:
    known = _field_names(config_type, path[:-1])
    if path[-1] in known:
        return f"It belongs to another choice of {path[-2]}."
    near = difflib.get_close_matches(str(path[-1]), known, n=1)
    return f"Did you mean {near[0]}?" if near else f"There are: {', '.join(sorted(known))}."


def _is_union_tag(part: object) -> bool:
    """Pydantic puts the alternative that it tried into the path of a union."""
    return part in LAYOUTS or (
        isinstance(part, str) and part.startswith(("constrained", "literal"))
    )


LAYOUTS = {"butterflies", *get_args(Layout)}

FILES = (
    ("data", "path"),
    ("data", "class_names"),
    ("texts", "import_from"),
    ("texts", "notes"),
)
"""Settings that name a file or folder which has to be there."""


def _field_names(config_type: Any, path: list[Any]) -> list[str]:
    """Names of the settings at a place of the config; of all alternatives where it is a union."""
    types = [config_type]
    for part in path:
        annotations = [t.__annotations__.get(str(part)) for t in types if is_dataclass(t)]
        types = [leaf for annotation in annotations for leaf in _leaves(annotation)]
    return [f.name for t in types if is_dataclass(t) for f in fields(t)]


def _leaves(annotation: Any) -> list[Any]:
    """The classes inside Annotated, unions and lists."""
    arguments = [a for a in get_args(annotation) if not isinstance(a, str)]
    if get_origin(annotation) is None or not arguments:
        return [annotation]
    return [leaf for argument in arguments for leaf in _leaves(argument)]
