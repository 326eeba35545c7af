"""An audit as a job: the stages that look at a data set, and the findings that they end in.

<root>/runs/<name>/audit.html                page with the findings and their pictures
<root>/runs/<name>/duplicates.parquet        DUPLICATES
<root>/runs/<name>/labels.parquet            LABELS
<root>/runs/<name>/pictures.parquet          LOOKS of odd pictures, with `faults`
<root>/runs/<name>/groups.parquet            GROUPS
<root>/runs/<name>/classes.parquet           CLASS_PAIRS
<root>/runs/<name>/exclude.csv               EXCLUDE, for data.exclude
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow.csv
import yaml

from gist_ray.audit.classes import similar_classes
from gist_ray.audit.config import AuditConfig
from gist_ray.audit.duplicates import duplicates
from gist_ray.audit.findings import Findings, suggested_exclusions
from gist_ray.audit.groups import leaking_groups
from gist_ray.audit.looks import faults_of
from gist_ray.audit.page import render
from gist_ray.audit.stages import (
    best_text_stage,
    compare_stage,
    looks_stage,
    neighbours_stage,
    probe_stage,
    wins_of,
)
from gist_ray.audit.suspects import ranked_labels
from gist_ray.audit.witnesses.witness import Witness
from gist_ray.datasets.overview import about_images
from gist_ray.encoders.clip import check_clip
from gist_ray.encoders.config import resources_of
from gist_ray.encoders.embedded import Model, clip_identity
from gist_ray.errors import UserError
from gist_ray.llm.config import LlmConfig
from gist_ray.methods.base.features import read_text_set
from gist_ray.run.job import Job, resource_problems
from gist_ray.run.stage import Done, Stage, in_order
from gist_ray.schema import CLASS_TEXTS, COMPARED
from gist_ray.settings.check import missing_files
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore
from gist_ray.study.data import Data, read_data
from gist_ray.study.features import FROZEN, Features, features_of
from gist_ray.texts.stage import NAMES, TextSource, names_stage, texts_stage

COMMAND = "audit"


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The stages of an audit by their part in it."""

    data: Data
    features: Features
    looks: Stage
    neighbours: Stage
    compared: Stage
    probe: Stage
    witnesses: Sequence[Witness]

    @property
    def stages(self) -> list[Stage]:
        """Returns every stage once, after what it is made from."""
        of_texts = self.features.text_embeddings.values()
        of_witnesses = [witness.stage for witness in self.witnesses]
        return in_order([self.looks, self.compared, *of_witnesses, *of_texts])


def audit_job(config: AuditConfig) -> Job:
    """Returns the job that audits a data set. Raises UserError with the problems of its data set,
    texts and model."""
    problems = missing_files(AuditConfig, asdict(config))
    problems += resource_problems([resources_of(config.embed)])
    if problems:
        raise UserError(problems)
    check_clip(config.clip)
    graph = graph_of(config, ArtifactStore(config.root))
    return Job(
        command=COMMAND,
        name=config.name,
        config=config,
        root=config.root,
        stages=graph.stages,
        finish=lambda store, done: _finish(config, graph, store, done),
        max_failed_fraction=config.max_failed_fraction,
        about=[*about_images(graph.data.manifest), *graph.data.about],
    )


def graph_of(config: AuditConfig, store: ArtifactStore) -> Graph:
    """Returns the stages of an audit. Manifest, embeddings and imported texts are those of a study
    with the same settings."""
    data = read_data(config.data, config.texts.notes, store)
    model = Model(name=FROZEN, clip=config.clip, identity={"clip": clip_identity(config.clip)})
    texts = {NAMES: names_stage(config.prompts, data.classes)}
    if config.texts.import_from:
        source = TextSource(
            texts=config.texts,
            prompts=config.prompts,
            llm=LlmConfig(),  # imported texts ask no model
            seed=config.seed,
            clip=config.clip,
            clip_identity=model.identity["clip"],
            manifest=data.stage,
            rows=data.manifest,
            classes=data.classes,
            notes=data.notes,
        )
        texts[CLASS_TEXTS] = texts_stage(source)
    features = features_of(FROZEN, model, config.embed, manifest=data.stage, texts=texts)
    neighbours = neighbours_stage(config, features.images)
    probe = probe_stage(config, data.stage, features.images)
    return Graph(
        data=data,
        features=features,
        looks=looks_stage(config, data.stage, data.manifest.num_rows),
        neighbours=neighbours,
        compared=compare_stage(config, data.stage, neighbours),
        probe=probe,
        witnesses=_witnesses_of(features, data.stage, probe),
    )


def _witnesses_of(features: Features, manifest: Stage, probe: Stage) -> list[Witness]:
    used = CLASS_TEXTS if CLASS_TEXTS in features.texts else NAMES
    best_text = best_text_stage(
        manifest, features.images, features.texts[used], features.text_embeddings[used]
    )
    of_texts = "text" if used == CLASS_TEXTS else "class name"
    return [
        Witness(
            name="probe",
            meaning="a linear probe that was fitted without the image",
            stage=probe,
        ),
        Witness(
            name="best text",
            meaning=f"the class whose best {of_texts} is most similar to the image",
            stage=best_text,
        ),
    ]


def _finish(
    config: AuditConfig, graph: Graph, store: ArtifactStore, done: Mapping[str, Done]
) -> Sequence[str]:
    findings = findings_of(config, graph, {name: one.artifact for name, one in done.items()})
    exclude = suggested_exclusions(findings, config.audit.exclude)
    folder = storage.join(store.root, "runs", config.name)
    for name in ("duplicates", "labels", "pictures", "groups", "classes"):
        storage.write_parquet(storage.join(folder, f"{name}.parquet"), getattr(findings, name))
    file = io.BytesIO()
    pyarrow.csv.write_csv(exclude, file)
    list_uri = storage.join(folder, "exclude.csv")
    storage.write_bytes(list_uri, file.getvalue())
    page = storage.join(folder, "audit.html")
    config_yaml = yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True)
    storage.write_text(
        page,
        render(
            findings,
            exclude,
            checks=config.audit,
            witnesses=graph.witnesses,
            name=config.name,
            list_uri=list_uri,
            config_yaml=config_yaml,
        ),
    )
    return [
        f"{len(findings.duplicates):,} pairs of copies, {len(findings.suspects):,} labels "
        f"under suspicion, {len(findings.pictures):,} odd pictures, "
        f"{len(findings.errors):,} pictures that cannot be read, "
        f"{len(findings.groups['group'].unique()):,} groups over several splits, "
        f"{len(findings.classes):,} pairs of classes that cannot be told apart.",
        f"{len(exclude):,} images suggested to be left out ({', '.join(config.audit.exclude)}): "
        f"review {list_uri}, then data.exclude={list_uri}",
        f"Page: {page}",
    ]


def findings_of(config: AuditConfig, graph: Graph, artifacts: Mapping[str, Artifact]) -> Findings:
    """Returns the findings from the artifacts of all stages, {name: artifact}."""
    manifest, checks = graph.data.manifest, config.audit
    looks, compared = artifacts[graph.looks.name], artifacts[graph.compared.name]
    looked_at = looks.read()
    witnesses = {one.name: artifacts[one.stage.name] for one in graph.witnesses}
    estimates = [one.info["num_issues"] for one in witnesses.values() if "num_issues" in one.info]
    features = graph.features
    texts = {
        name: read_text_set(artifacts[stage.name].read(), artifacts[embedded.name])
        for (name, stage), embedded in zip(
            features.texts.items(), features.text_embeddings.values(), strict=True
        )
    }
    return Findings(
        manifest=manifest,
        duplicates=duplicates(
            manifest,
            looked_at,
            compared.read() if compared.info["parts"] else COMPARED.empty_table(),
            min_correlation=checks.min_correlation,
        ),
        labels=ranked_labels(
            manifest,
            {name: artifact.read() for name, artifact in witnesses.items()},
            num_issues=max(estimates, default=0),
        ),
        pictures=faults_of(looked_at, checks),
        groups=leaking_groups(manifest),
        classes=similar_classes(
            graph.data.classes,
            wins_of(artifacts[graph.probe.name]),
            texts,
            min_similarity=checks.min_class_similarity,
        ),
        errors=looks.read_errors(),
        num_pairs_left_out=compared.info.get("num_left_out", 0),
    )
