"""Every field of every config either is marked Runtime or changes a fingerprint.

The fields are listed from the settings themselves: one that is added later is asked here too.
"""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import TypeAdapter, ValidationError

from gist_ray.audit.config import AuditConfig
from gist_ray.datasets.packing.config import PackConfig
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.demo.butterflies.species import make_species
from gist_ray.methods import METHODS
from gist_ray.pretraining.config import PretrainConfig
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.settings.declare import ByName, Runtime, identity_of
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.config import RunConfig
from gist_ray.study.graph import build_graph

TINY = [
    "data.num_genera=1",
    "data.species_per_genus=2",
    "data.train_per_species=2",
    "data.val_per_species=1",
    "data.test_per_species=1",
    "study.shots=[1]",
    "study.seeds=[1]",
    "texts.shorten={held: true}",
    "matching=sampled",
    "++matcher.model=butterfly-clip",
    f"methods=[{','.join(METHODS)}]",
]

A_CLASS = make_species(WorldConfig(num_genera=1, species_per_genus=2))[0].name

OTHER: dict[str, Any] = {
    "prompts.prompts": lambda prompts: [replace(prompts[0], template="Describe {{ name }}.")],
    "prompts.examples": lambda examples: examples[:-1],
    "prompts.axes": lambda axes: {"form": ["male", "female"]},
    "prompts.class_axes": lambda class_axes: {A_CLASS: {"form": ["male"]}},
    "prompts.facts_per_text": lambda numbers: [1],
    "prompts.facts_together": lambda together: [],
    "prompts.phrases": lambda phrases: dict.fromkeys(phrases, "x"),
    "prompts.constraint": lambda constraint: None,
    "prompts.constraint.regex": lambda regex: "[a-z]+",
    "prompts.constraint.json_schema": None,  # either this or a regex
    "prompts.vocabulary": lambda words: words[:-1],
    "prompts.caption_prefix": lambda prefix: "{{ name }}, ",
    "prompts.zero_shot_templates": lambda templates: ["a {}."],
    "texts.shorten.template": lambda template: "Shorten: {{ text }}",
    "texts.shorten.examples": lambda examples: [],
    "texts.cleaning.skip": lambda skipped: [],
    "texts.notes": None,  # by their content; the drawn world brings its own
    "llm.gpus_per_replica": lambda gpus: 1,
    "llm.engine_kwargs": lambda arguments: {"gpu_memory_utilization": 0.5},
    "clip.model": lambda model: "ViT-B-32",
    "clip.pretrained": None,  # only for an architecture
    "clip.image_mean": lambda mean: (0.5, 0.5, 0.5),
    "clip.image_std": lambda std: (0.5, 0.5, 0.5),
    "matcher": lambda matcher: None,
    "matcher.model": lambda model: "ViT-B-32",
    "matcher.pretrained": None,
    "matcher.image_mean": lambda mean: (0.5, 0.5, 0.5),
    "matcher.image_std": lambda std: (0.5, 0.5, 0.5),
    "finetune.num_epochs": None,  # either this or num_steps
    "evaluation.slices": lambda slices: ["form"],
    "study.trainings": lambda trainings: ["gist"],
    "study.shots": lambda shots: [2],
    "study.seeds": lambda seeds: [2],
    "texts.import_from": None,
    "texts.concepts": None,  # by its content, below
    "texts.unknown_images": None,  # of an import, below
    "texts.use_pairs": None,  # of an import, below
    "data.layout": None,  # one value for each type of data
}
"""{field: its other value, from the present one}; None where it is asked elsewhere."""


def config_of(*overrides: str) -> RunConfig:
    config: RunConfig = build(RunConfig, compose_values("config", [*TINY, *overrides]))
    return config


def fingerprints(config: RunConfig) -> set[str]:
    graph = build_graph(config, ArtifactStore("memory://nowhere"))
    return {stage.fingerprint for stage in graph.stages}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, bool]]:
    """(path, whether it is marked Runtime) of every field, settings objects included."""
    declared = type(value).__pydantic_fields__
    for field in fields(value):
        key = f"{path}.{field.name}".lstrip(".")
        inner = getattr(value, field.name)
        metadata = declared[field.name].metadata
        if is_dataclass(inner):
            yield from leaves(inner, key)
        elif any(isinstance(mark, ByName) for mark in metadata):
            for name, of_name in inner.items():
                yield from leaves(of_name, f"{key}.{name}")
        else:
            yield key, Runtime in metadata


def inner_of(value: Any, name: str) -> Any:
    return value[name] if isinstance(value, dict) else getattr(value, name)


def with_value(value: Any, path: list[str], other: Any) -> Any:
    """`value` with another leaf, checked as a config from the command line is."""
    name = path[0]
    inner = inner_of(value, name)
    changed = with_value(inner, path[1:], other) if len(path) > 1 else other
    if isinstance(value, dict):
        return {**value, name: changed}
    made = replace(value, **{name: changed})
    TypeAdapter(type(value)).validate_python(made)
    return made


def leaf_of(value: Any, path: list[str]) -> tuple[Any, Any]:
    """(annotation, value) of a leaf."""
    for name in path[:-1]:
        value = inner_of(value, name)
    annotation = type(value).__pydantic_fields__[path[-1]].annotation
    return annotation, getattr(value, path[-1])


def candidates(annotation: Any, value: Any) -> Iterator[Any]:
    """Other values of the same type; some may be out of range."""
    if get_origin(annotation) is Literal:
        yield from (choice for choice in get_args(annotation) if choice != value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
    elif isinstance(value, float):
        yield from (value / 2, value + 0.25, value - 0.25)
    elif isinstance(value, str):
        yield f"{value}x"
    elif isinstance(value, tuple):
        yield tuple(one / 2 for one in value)
    elif isinstance(value, list) and all(isinstance(one, str) for one in value):
        yield [*value, "x"]
    elif isinstance(value, list) and len(value) > 1:
        yield value[:-1]
    else:
        for alternative in get_args(annotation):
            if alternative is not type(None):
                yield from (5, 0.5, "x") if value is None else ()


def another(config: Any, path: list[str]) -> Any:
    """The config with a valid other value of one leaf."""
    annotation, value = leaf_of(config, path)
    key = ".".join(path)
    given = [OTHER[key](value)] if key in OTHER else candidates(annotation, value)
    for other in given:
        if other == value:
            continue
        try:
            return with_value(config, path, other)
        except (ValidationError, ValueError):
            continue
    raise AssertionError(f"{key}={value!r}: say in OTHER which other value it may have")


BASE = config_of()
ASKED = [(key, is_runtime) for key, is_runtime in leaves(BASE) if OTHER.get(key, 0) is not None]


@pytest.fixture(scope="module")
def before() -> set[str]:
    return fingerprints(BASE)


@pytest.mark.parametrize("key", [key for key, is_runtime in ASKED if not is_runtime])
def test_a_setting_changes_a_fingerprint(key: str, before: set[str]) -> None:
    assert fingerprints(another(BASE, key.split("."))) != before


@pytest.mark.parametrize("key", [key for key, is_runtime in ASKED if is_runtime])
def test_a_runtime_setting_changes_no_fingerprint(key: str, before: set[str]) -> None:
    assert fingerprints(another(BASE, key.split("."))) == before


def test_an_import_counts_by_its_content_and_its_settings(tmp_path: Path) -> None:
    names = sorted({row["class_name"] for row in manifest_rows()})
    file = tmp_path / "texts.json"
    file.write_text(json.dumps({name: ["white wings"] for name in names}))
    words = [f"texts.import_from={file}", "texts.shorten=null"]
    one = fingerprints(config_of(*words))
    skipping = fingerprints(config_of(*words, "texts.unknown_images=skip"))
    file.write_text(json.dumps({name: ["black wings"] for name in names}))
    other = fingerprints(config_of(*words))
    assert one != other
    assert one != skipping


def manifest_rows() -> list[dict[str, Any]]:
    graph = build_graph(BASE, ArtifactStore("memory://nowhere"))
    rows: list[dict[str, Any]] = graph.manifest.to_pylist()
    return rows


def test_identity_leaves_out_what_is_marked_at_any_depth() -> None:
    said = json.dumps(identity_of(BASE))
    assert '"k": 3' in said
    assert "cache_mib" not in said
    assert "num_replicas" not in said
    assert json.loads(said) == identity_of(BASE)


@pytest.mark.parametrize("config_type", [AuditConfig, PackConfig, PretrainConfig])
def test_marks_of_the_other_jobs(config_type: Any) -> None:
    marked = {
        name for name, field in config_type.__pydantic_fields__.items() if Runtime in field.metadata
    }
    assert (
        marked
        == {
            AuditConfig: {"name", "root", "max_failed_fraction"},
            PackConfig: {"out", "max_failed_fraction", "max_workers", "fetch_threads"},
            PretrainConfig: {"root", "out"},
        }[config_type]
    )
