"""RunConfig: the settings of one run of the study, and the checks across them."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from gist_ray.datasets.config import DataConfig
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.encoders.config import ClipConfig, EmbedConfig
from gist_ray.evaluation.config import EvaluationConfig
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.llm.config import LlmConfig
from gist_ray.matching.config import MatchingConfig
from gist_ray.settings.declare import MAX_INT32, ByName, Runtime, settings
from gist_ray.texts.config import TextsConfig
from gist_ray.texts.prompt_set import PromptSet

Training = Literal["gist", "class_name", "random", "all", "any_class"]
Seed = Annotated[int, Field(ge=0, le=MAX_INT32)]
Shots = Annotated[int, Field(ge=1, le=MAX_INT32)] | Literal["full"]


def _default_trainings() -> list[Training]:
    return ["class_name", "random", "gist"]


def _default_shots() -> list[Shots]:
    return [5]


@settings
class StudyConfig:
    """The comparisons: every training at every number of shots with every seed, and every method on
    the features of each."""

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


def _default_methods() -> dict[str, Any]:
    return {"linear_probe": {}}


def _method_settings() -> dict[str, type]:
    from gist_ray.methods import METHODS  # only now: they bring scikit-learn and torch

    return {name: method.config for name, method in METHODS.items()}


@settings
class RunConfig:
    """Settings of one run of the study."""

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
    """The prompts for the language model."""

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

    methods: Annotated[
        dict[str, Any], Field(min_length=1, validate_default=True), ByName(_method_settings)
    ] = Field(default_factory=_default_methods)
    """The classifiers that are fitted on every draw's features, {method: its settings}. On the
    command line methods=[linear_probe,nearest_class_mean] takes the files of configs/methods/, and
    methods.linear_probe.max_iter=100 changes one setting."""

    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    """How predictions are measured."""

    study: StudyConfig = Field(default_factory=StudyConfig)
    """The comparisons."""

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
