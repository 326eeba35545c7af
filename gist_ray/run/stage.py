"""A stage: (its identity, its input artifacts) -> one artifact."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gist_ray.run.progress import Progress
from gist_ray.run.resources import Resources
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter, fingerprint

Run = Callable[[Mapping[str, Artifact], ArtifactWriter, Progress], None]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One node of a job's graph, which makes one artifact."""

    name: str
    """Unique in the job: "finetune gist 5-shot seed 1"."""

    kind: str
    """The kind of artifact it makes, and its folder in the store: "finetuned"."""

    group: str
    """The row that stages of its sort share in plan, status and report: "finetune"."""

    identity: Mapping[str, Any] = field(default_factory=dict)
    """All settings that decide the artifact, as plain values (`identity_of`)."""

    version: int = 1
    """Raised when the code makes another artifact of the same identity and inputs, with a line in
    CHANGELOG.md: what an older version stored is then not found, and made again."""

    run: Run
    """Reads the inputs by their names and fills the writer."""

    inputs: Mapping[str, "Stage"] = field(default_factory=dict)

    resources: Resources = field(default_factory=Resources)

    folders: Mapping[str, str] = field(default_factory=dict)
    """{setting: folder or URI} that its workers read or write: every node has to see them."""

    num_rows: int | None = None
    """Rows it will make, where that is known beforehand; for the plan."""

    where: str = ""
    """The place where it works ("warm worker", "Ray Data"), "" for the driver; for the plan."""

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.kind, self.identity, self.input_fingerprints, version=self.version)

    @property
    def input_fingerprints(self) -> dict[str, str]:
        return {name: stage.fingerprint for name, stage in self.inputs.items()}

    def find(self, store: ArtifactStore) -> Artifact | None:
        """Returns its finished artifact, or None."""
        return store.find(self.kind, self.fingerprint)

    def writer(self, store: ArtifactStore) -> ArtifactWriter:
        """Returns a writer of its artifact."""
        inputs = self.input_fingerprints
        return store.writer(
            self.kind, self.name, self.identity, inputs=inputs, version=self.version
        )


@dataclass(frozen=True)
class Done:
    """A stage's artifact, and whether this run found it stored."""

    stage: Stage
    artifact: Artifact
    was_stored: bool


def in_order(wanted: Iterable[Stage]) -> list[Stage]:
    """Returns `wanted` and all that they are made from, each once, inputs first."""
    found: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.name not in found:
            for source in stage.inputs.values():
                visit(source)
            found[stage.name] = stage

    for stage in wanted:
        visit(stage)
    return list(found.values())


def by_group(stages: Iterable[Stage]) -> dict[str, list[Stage]]:
    """Returns the stages of each group, groups and stages in the order given."""
    groups: dict[str, list[Stage]] = {}
    for stage in stages:
        groups.setdefault(stage.group, []).append(stage)
    return groups
