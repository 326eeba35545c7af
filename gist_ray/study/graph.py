"""The graph of a study: features x methods x draws. Building it does no work beyond reading the
manifest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa

from gist_ray.datasets.config import DataConfig
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.encoders.embedded import Model, Part, clip_identity
from gist_ray.errors import UserError
from gist_ray.evaluation.slices import slice_problems
from gist_ray.evaluation.stage import Measured, measure_stage
from gist_ray.finetune.stage import finetune_stage
from gist_ray.matching.config import CLASS_NAME, DRAWN_VARIANTS, MatchingConfig
from gist_ray.matching.stage import imported_match_stage, match_stage, statistics_stage
from gist_ray.methods import METHODS
from gist_ray.methods.stage import fit_stage, predict_stage
from gist_ray.run.stage import Stage, in_order
from gist_ray.schema import CLASS_TEXTS, test_sets
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.config import RunConfig
from gist_ray.study.data import Data, read_data
from gist_ray.study.draws import Draw, distinct_shots, draws_of
from gist_ray.study.features import FROZEN, Features, features_of
from gist_ray.texts.concepts import CONCEPTS, concepts_stage
from gist_ray.texts.stage import NAMES, TextSource, names_stage, texts_stage

Measure = Literal["test", "val"]
"""The split that a run is measured on; with "val" nothing of test is looked at. A data set without
a test set is measured on val in any case."""

ReadData = Callable[[DataConfig | WorldConfig, str, ArtifactStore], Data]

WITHOUT_K = (FROZEN, "class_name", "all")
"""Features that `matching.k` does not change."""


@dataclass(frozen=True)
class Key:
    """The features, method, shots and seed of a result. shots: None for all images; shots and seed
    are both None where neither the features nor the method depend on a draw."""

    features: str
    method: str
    shots: int | None
    seed: int | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """The stages of one method on one draw."""

    key: Key
    features: Features
    draw: Draw
    """The draw of the result; the first one if several draws give the same."""

    fit: Stage
    predict: Stage | None
    """None where only val is measured."""


@dataclass(frozen=True, kw_only=True)
class StudyGraph:
    """The stages of a study, and the data that they are laid out from."""

    stages: list[Stage]
    """Every stage once, after what it is made from."""

    data: Data
    num_shots: list[int | None]
    """The numbers of shots that give samples of their own, None for all images."""

    results: dict[Key, Result]
    frozen_images: Stage
    """The embeddings of all images by the model as loaded."""

    metrics: list[Stage]
    """The stages that make METRICS; none where a sweep measures val, which each fit stores."""

    statistics: Stage | None
    """The statistics of the match that the run is about, if it has one."""

    @property
    def manifest(self) -> pa.Table:
        return self.data.manifest

    def result(self, features: str, method: str, *, shots: int | None, seed: int) -> Result:
        """Returns the result of a draw, also where it is the same for every draw."""
        key = Key(features, method, shots, seed)
        return self.results.get(key) or self.results[Key(features, method, None, None)]


def build_graph(
    config: RunConfig,
    store: ArtifactStore,
    *,
    measure: Measure = "test",
    read: ReadData = read_data,
) -> StudyGraph:
    """Reads the manifest and returns all stages.

    Raises UserError for a broken data set, prompts that cannot be made, or attributes to slice by
    that the test images do not have.
    """
    data = read(config.data, config.texts.notes, store)
    if problems := slice_problems(data.manifest, config.evaluation.slices):
        raise UserError(problems)
    study = Study.of(config, data, measure if test_sets(data.manifest) else "val")
    results: dict[Key, Result] = {}
    matches: dict[str, Stage] = {}
    num_shots = distinct_shots(config.study, study.data.manifest)
    for draw in draws_of(config.study, num_shots, study.data.stage):
        features = [study.frozen]
        for training in config.study.trainings:
            match, tuned = study.tuned(training, draw)
            features.append(tuned)
            if match is not None and draw.seed == config.study.seeds[0]:
                matches[training] = match
        for one in features:
            for result in study.results(one, draw):
                results.setdefault(result.key, result)
    shown = matches.get(shown_features(config))
    statistics = None if shown is None else statistics_stage(shown)
    metrics = study.metrics(list(results.values())) if measure == "test" else []
    ends = metrics or [result.fit for result in results.values()]
    if measure == "test" and study.measure == "val":
        # an export explains by these texts; elsewhere the predictions of test have them made
        of_features = (result.features for result in results.values())
        explaining = (one.inputs_of([CLASS_TEXTS]).values() for one in of_features)
        ends = [*ends, *(stage for stages in explaining for stage in stages)]
    return StudyGraph(
        stages=in_order([*ends, *([statistics] if statistics else [])]),
        data=study.data,
        num_shots=num_shots,
        results=results,
        frozen_images=study.frozen.images,
        metrics=metrics,
        statistics=statistics,
    )


def shown_features(config: RunConfig) -> str:
    """Returns the features that the run is about."""
    trainings: list[str] = list(config.study.trainings)
    return "gist" if "gist" in trainings else (trainings or [FROZEN])[0]


@dataclass(frozen=True, kw_only=True)
class Study:
    """The config, data, texts and models that all draws share."""

    config: RunConfig
    data: Data
    measure: Measure
    texts: Mapping[str, Stage]
    """{set: TEXTS} of the sets that some method or the matching reads."""

    frozen: Features
    matcher: Features
    """Its embeddings match texts to images in the first round."""

    @classmethod
    def of(cls, config: RunConfig, data: Data, measure: Measure) -> "Study":
        base = Model(name=FROZEN, clip=config.clip, identity={"clip": clip_identity(config.clip)})
        source = TextSource(
            texts=config.texts,
            prompts=config.prompts,
            llm=config.llm,
            seed=config.seed,
            clip=config.clip,
            clip_identity=base.identity["clip"],
            manifest=data.stage,
            rows=data.manifest,
            classes=data.classes,
            notes=data.notes,
        )
        texts = {CLASS_TEXTS: data.texts or texts_stage(source)}
        if any(NAMES in METHODS[name].texts for name in config.methods):
            texts[NAMES] = names_stage(config.prompts, data.classes)
        if any(CONCEPTS in METHODS[name].texts for name in config.methods):
            texts[CONCEPTS] = concepts_stage(source, texts[CLASS_TEXTS])
        frozen = features_of(FROZEN, base, config.embed, manifest=data.stage, texts=texts)
        matcher = frozen
        if config.matcher is not None and config.matcher != config.clip:
            identity = {"clip": clip_identity(config.matcher)}
            model = Model(name="matcher", clip=config.matcher, identity=identity, setting="matcher")
            matcher = features_of(
                "matcher",
                model,
                config.embed,
                manifest=data.stage,
                texts={CLASS_TEXTS: texts[CLASS_TEXTS]},
            )
        return cls(
            config=config, data=data, measure=measure, texts=texts, frozen=frozen, matcher=matcher
        )

    def tuned(self, training: str, draw: Draw) -> tuple[Stage | None, Features]:
        """Returns the match of the last round, and the features of the model tuned on it.

        The first round is that of a run with one, stage for stage; each further one matches by the
        model of the round before.
        """
        matching = self.config.matching
        if training != "gist":
            # A control has as many texts per image as what it is compared with.
            matching = MatchingConfig(variant=training, k=matching.k)  # type: ignore[arg-type]
        match, features = self._round(training, draw, matching, matcher=self.matcher, again="")
        for number in range(2, matching.rounds + 1):
            again = f" round {number}"
            match, features = self._round(training, draw, matching, matcher=features, again=again)
        return match, features

    def _round(
        self, training: str, draw: Draw, matching: MatchingConfig, *, matcher: Features, again: str
    ) -> tuple[Stage | None, Features]:
        """Returns the match and the features of one round. again: "" in the first round, which
        matches all training images, so that it serves every draw; a further round embeds only the
        training images of the draw."""
        config, manifest = self.config, self.data.stage
        captions: dict[str, Stage] = {}
        match = None
        if matching.variant != CLASS_NAME:
            inputs = {"manifest": manifest, **matcher.matching_inputs}
            if again:
                inputs["shots"] = draw.stage
            named = _match_name(training, draw, matching, again=again)
            if training == "gist" and config.texts.use_pairs:
                match = imported_match_stage(named, matching.k, inputs)
            else:
                match = match_stage(named, matching, inputs, seed=draw.seed)
            captions = {"texts": self.texts[CLASS_TEXTS], "matches": match}
        name = f"{training} {draw.name}{again}"
        tune = finetune_stage(
            f"finetune {name}",
            config.finetune,
            {
                "manifest": manifest,
                "shots": draw.stage,
                "images": self.frozen.images,
                **captions,
            },
            clip=config.clip,
            clip_identity=self.frozen.model.identity,
            prompts=config.prompts,
            limits=config.embed.limits,
            seed=draw.seed,
        )
        features = features_of(
            training,
            Model(name=name, tuned=tune),
            config.embed,
            manifest=manifest,
            texts=self.texts,
            draw=draw,
            part=Part(draw.stage, self.frozen.images, with_test=self.measure == "test"),
        )
        return match, features

    def results(self, features: Features, draw: Draw) -> list[Result]:
        """Returns the stages of every method on the features of a draw."""
        return [
            self._result(features, name, config, draw=draw)
            for name, config in self.config.methods.items()
        ]

    def _result(self, features: Features, name: str, config: Any, *, draw: Draw) -> Result:
        method = METHODS[name]
        is_of_draw = features.draw is not None or bool(method.varies)
        key = Key(features.name, name, draw.num_shots, draw.seed)
        if not is_of_draw:
            key = replace(key, shots=None, seed=None)
        inputs: dict[str, Stage] = {
            "manifest": self.data.stage,
            "image_embeddings": features.images,
            **features.inputs_of(method.texts),
        }
        if is_of_draw or self.measure == "val":
            inputs["shots"] = draw.stage
        if self.measure == "val":
            key = Key(features.name, name, draw.num_shots, draw.seed)
        of_draw = f" {draw.name}" if key.seed is not None else ""
        named = f"{name} on {features.name}{of_draw}"
        fit = fit_stage(
            f"fit {named}",
            method,
            config,
            inputs=inputs,
            seed=draw.seed if "seed" in method.varies else None,
        )
        predict = None
        if self.measure == "test":
            predict = predict_stage(
                f"predict {named}",
                method,
                {
                    "manifest": self.data.stage,
                    "classifier": fit,
                    "image_embeddings": features.images,
                    **features.inputs_of([CLASS_TEXTS]),
                },
            )
        return Result(key=key, features=features, draw=draw, fit=fit, predict=predict)

    def metrics(self, results: list[Result]) -> list[Stage]:
        """Returns the stages that measure the results of each draw, on val and on every test
        set."""
        groups: dict[tuple[str, int | None, int | None], list[Result]] = {}
        for result in results:
            key = result.key
            groups.setdefault((key.features, key.shots, key.seed), []).append(result)
        return [self._metrics(members) for members in groups.values()]

    def _metrics(self, results: list[Result]) -> Stage:
        config, first = self.config, results[0]
        features, shots, seed = first.key.features, first.key.shots, first.key.seed
        predictions: dict[tuple[str, str], Stage] = {}
        for result in results:
            if seed is not None:
                predictions[result.key.method, "val"] = result.fit
            if result.predict is not None:
                for split in test_sets(self.data.manifest):
                    predictions[result.key.method, split] = result.predict
        params: dict[str, Any] = {
            "backbone": " ".join(filter(None, [config.clip.model, config.clip.pretrained]))
        }
        if features not in WITHOUT_K:
            params["k"] = config.matching.k
        measured = Measured(
            features=features,
            data=self.data.name,
            shots=shots,
            seed=seed,
            bootstrap_seed=first.draw.seed,
            params=params,
        )
        of_draw = f" {first.draw.name}" if seed is not None else ""
        return measure_stage(
            f"measure {features}{of_draw}",
            measured,
            config.evaluation,
            manifest=self.data.stage,
            predictions=predictions,
        )


def _match_name(training: str, draw: Draw, matching: MatchingConfig, *, again: str) -> str:
    if again:
        return f"match {training} {draw.name}{again}"
    seed = f" seed {draw.seed}" if matching.variant in DRAWN_VARIANTS else ""
    return f"match {training}{seed}"
