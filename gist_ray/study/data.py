"""The data set of a run: its manifest, and its pictures where the run draws them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.ingest import ingest
from gist_ray.datasets.manifest import classes_of, movable
from gist_ray.datasets.overview import about_files
from gist_ray.demo.butterflies.collection import manifest_rows, picture_rows
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.demo.butterflies.notes import field_notes
from gist_ray.demo.butterflies.species import Species, make_species
from gist_ray.demo.stage import draw_pictures, where_drawn
from gist_ray.errors import UserError, listed
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Stage
from gist_ray.settings.declare import identity_of
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore, ArtifactWriter, table_content
from gist_ray.texts.prompting import Notes


@dataclass(frozen=True)
class Data:
    """The data set as known before any work."""

    name: str
    """Its name in the column `data`."""

    manifest: pa.Table
    """MANIFEST, read anew by every run to lay out its graph. Stages read the stored one."""

    notes: Notes | None
    """Notes on the classes, where there are any."""

    stage: Stage
    """The stage that stores the manifest, and represents it in the fingerprints of artifacts made
    from it."""

    texts: Stage | None = None
    """The stored texts of the classes, where the data come from the record of a run; else None."""

    about: Sequence[str] = ()
    """Lines on what was understood of the data set's files."""

    root: str = ""
    """The folder that its relative paths are of; "" for a world, whose pictures are drawn."""

    @cached_property
    def classes(self) -> list[tuple[int, str]]:
        """Returns (label, class name) of every class, by label."""
        return classes_of(self.manifest)


def read_data(config: DataConfig | WorldConfig, notes: str, store: ArtifactStore) -> Data:
    """Returns the data set with its manifest; the manifest of a drawn world is known before its
    pictures are drawn.

    notes: the JSON file of the user's notes, "" for none. A data set counts by its manifest's
    content, so that a changed folder is a changed input; a world by its settings, so that its
    pictures may lie in any store. Raises UserError for a broken data set or broken notes.
    """
    if isinstance(config, WorldConfig):
        return _world(config, store)
    found = ingest(config, storage.join(store.root, "indices"))
    manifest, errors = found.manifest, found.errors
    names = pc.unique(manifest.column("class_name").drop_null()).to_pylist()
    if len(names) < 2:
        raise UserError(
            f"{config.path}: has {listed(names) or 'no class'} as its only class; a classifier "
            "needs at least two."
        )
    content = {"rows": table_content(manifest), "errors": table_content(errors)}

    def keep(inputs: object, writer: ArtifactWriter, progress: Progress) -> None:
        writer.write(manifest)
        writer.add_errors(errors)

    folders = {"data.path": config.path} if storage.is_folder(config.path) else {}
    stage = Stage(
        name="manifest",
        kind="manifest",
        group="manifest",
        identity=content,
        run=keep,
        folders=folders,
        num_rows=len(manifest),
    )
    return Data(
        name_of(config),
        manifest,
        _read_notes(notes),
        stage,
        about=about_files(found),
        root=found.root,
    )


def name_of(config: DataConfig) -> str:
    """Returns the data set's name in the column `data`: its layout and its last folder or file."""
    return f"{config.layout} {storage.absolute(config.path).rsplit('/', 1)[-1]}"


def _world(world: WorldConfig, store: ArtifactStore) -> Data:
    species = make_species(world)
    rows = picture_rows(world, species)
    draw = Stage(
        name="draw pictures",
        kind="pictures",
        group="draw pictures",
        identity=identity_of(world),
        run=lambda inputs, writer, progress: _draw(rows, species, writer, progress=progress),
        num_rows=len(rows),
        where=where_drawn(len(rows)),
    )
    manifest = manifest_rows(rows, store.location(draw.kind, draw.fingerprint))
    keep = Stage(
        name="manifest",
        kind="manifest",
        group="manifest",
        run=lambda inputs, writer, progress: writer.write(movable(manifest, store.root)),
        num_rows=len(manifest),
        inputs={"pictures": draw},
    )
    return Data(f"butterflies {world.seed}", manifest, field_notes(species), keep)


def _draw(
    rows: pa.Table, species: Sequence[Species], writer: ArtifactWriter, *, progress: Progress
) -> None:
    """Draws the pictures of a world, and writes its field notes beside them."""
    storage.write_json(writer.file("notes.json"), field_notes(species))
    draw_pictures(rows, writer, progress)


def _read_notes(uri: str) -> Notes | None:
    """Returns the notes on classes from the user's JSON file; None for ""."""
    if not uri:
        return None
    try:
        notes: Notes = storage.read_json(uri)
    except json.JSONDecodeError as error:
        raise UserError(f"texts.notes={uri}: line {error.lineno} is not valid JSON.") from error
    except (ValueError, RecursionError, OSError) as error:
        raise UserError(f"texts.notes={uri}: cannot be read as JSON ({error}).") from error
    of_facts = isinstance(notes, dict) and all(
        isinstance(axes, dict) and all(isinstance(facts, dict) for facts in axes.values())
        for axes in notes.values()
    )
    if not of_facts:
        raise UserError(
            f"texts.notes={uri}: must be a JSON object {{class name: {{axis value: {{fact: value"
            '}}}; the axis value "" stands for all.'
        )
    return notes
