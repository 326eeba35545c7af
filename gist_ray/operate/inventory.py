"""The artifacts below <root>/artifacts, finished or not, and their inputs."""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gist_ray.errors import UserError
from gist_ray.run.metrics import THREADS
from gist_ray.run.runs import read_plan, run_names
from gist_ray.store import folders, storage
from gist_ray.store.artifacts import ARTIFACT_FILE

Place = tuple[str, str]
"""(kind, fingerprint): a folder of the store."""


def places(root: str) -> list[Place]:
    """Returns every folder of an artifact."""
    top = storage.join(storage.absolute(root), "artifacts")
    return [
        (kind, name)
        for kind in folders.folders_in(top)
        for name in folders.folders_in(storage.join(top, kind))
    ]


def made_from(root: str, fingerprints: Iterable[str]) -> list[Place]:
    """Returns all artifacts in the store that are made from artifacts of these fingerprints,
    directly or not.

    What is finished says itself what it is made from; of what is not, the plans of the runs say.
    Each comes after one that it is made from.
    """
    found = places(root)
    children: dict[str, set[str]] = {}
    for plan in filter(None, (read_plan(root, name) for name in run_names(root))):
        for stage in plan["stages"]:
            _note(children, stage["fingerprint"], stage["inputs"])
    with ThreadPoolExecutor(THREADS) as threads:
        infos = threads.map(lambda place: _info(root, place), found)
        for (_, name), info in zip(found, infos, strict=True):
            _note(children, name, info.get("inputs", {}))
    reached: dict[str, None] = {}
    waiting = list(fingerprints)
    while waiting:
        for child in sorted(children.get(waiting.pop(0), ())):
            if child not in reached:
                reached[child] = None
                waiting.append(child)
    by_name = {name: (kind, name) for kind, name in found}
    return [by_name[name] for name in reached if name in by_name]


def _note(children: dict[str, set[str]], name: str, inputs: Mapping[str, str]) -> None:
    for source in inputs.values():
        children.setdefault(source, set()).add(name)


def _info(root: str, place: Place) -> dict[str, Any]:
    """Returns the artifact.json of a place, {} if it is unfinished."""
    uri = storage.join(storage.absolute(root), "artifacts", *place, ARTIFACT_FILE)
    try:
        info: dict[str, Any] = storage.read_json(uri)
        return info
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise UserError(f"{uri}: is not valid JSON ({error}). Delete its folder.") from error
