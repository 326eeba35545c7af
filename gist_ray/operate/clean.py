"""Unused files of a store: artifacts that no run refers to, and remains of processes that died."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from gist_ray.errors import UserError
from gist_ray.operate.inventory import Place, places
from gist_ray.run.heartbeat import PROGRESS_FILE
from gist_ray.run.lease import is_dead, read_lease, who
from gist_ray.run.runs import (
    CONFIG_FILE,
    LEASE_FILE,
    read_plan,
    read_stages,
    run_folder,
    run_names,
)
from gist_ray.store import folders, storage
from gist_ray.store.artifacts import ARTIFACT_FILE, ArtifactStore
from gist_ray.sweep.tables import artifacts_of_trials

FINGERPRINT = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Garbage:
    """An unused artifact's folder, or an unused file in a used one."""

    uri: str
    why: str
    num_bytes: int
    place: Place | None
    """None for a file."""


def find_garbage(root: str, forget: str | None = None) -> list[Garbage]:
    """Returns what no run refers to and no living process is making below <root>/artifacts.

    forget: a run that is to count for none.

    Raises UserError if a run's record cannot be read, for then nobody knows what it refers to, or
    if the run to forget is alive or not there.
    """
    names = run_names(root)
    if forget is not None:
        _check_forgettable(root, forget, names)
    referred = set[str]()
    configs = []
    for name in names:
        if name != forget:
            referred |= _referred_by(root, name)
            configs.append(_config_of(root, name))
    found = []
    store = ArtifactStore(root)
    for place in places(root):
        kind, key = place
        uri = store.location(kind, key)
        if not FINGERPRINT.fullmatch(key) or _is_link(uri):
            continue  # nothing that this program makes
        if key in referred or any(key in config for config in configs):
            found += _abandoned_files(uri)
        elif not _is_being_made(uri):
            is_whole = storage.exists(storage.join(uri, ARTIFACT_FILE))
            why = "no run refers to it" if is_whole else "begun, and no run refers to it"
            found.append(Garbage(uri, why, folders.num_bytes(uri), place))
    return found


def remove(root: str, garbage: Collection[Garbage]) -> None:
    store = ArtifactStore(root)
    for one in garbage:
        if one.place is None:
            storage.delete(one.uri)
        else:
            store.outdate(*one.place)


def _referred_by(root: str, name: str) -> set[str]:
    plan, stages = read_plan(root, name), read_stages(root, name)
    if plan is None and stages is None:
        raise UserError(
            f"{run_folder(root, name)}: has neither plan.json nor stages.json, so nobody knows "
            "what it refers to. Start the run again, which writes them, or delete this folder."
        )
    try:
        planned = {stage["fingerprint"] for stage in plan["stages"]} if plan else set()
        stored = {str(row["fingerprint"]) for row in stages or []}
        return planned | stored | artifacts_of_trials(root, name)
    except (TypeError, KeyError) as error:
        raise UserError(
            f"{run_folder(root, name)}: plan.json or stages.json does not say what the run refers "
            "to. Start the run again, which writes them anew, or delete this folder."
        ) from error


def _config_of(root: str, name: str) -> str:
    """Returns the config of a run as text. A config may name an artifact's folder, as
    clip.model=local-dir:... does."""
    uri = storage.join(run_folder(root, name), CONFIG_FILE)
    return storage.read_text(uri) if storage.exists(uri) else ""


def _check_forgettable(root: str, name: str, names: Collection[str]) -> None:
    if name not in names:
        known = ", ".join(names) or "none"
        raise UserError(f"--run {name}: there is no such run in {root}. There are: {known}.")
    lease = read_lease(storage.join(run_folder(root, name), LEASE_FILE))
    if lease and not is_dead(lease):
        raise UserError(f"--run {name}: {who(lease)} is running it. End it first.")


def _is_being_made(uri: str) -> bool:
    lease = read_lease(storage.join(uri, PROGRESS_FILE))
    return lease is not None and not is_dead(lease)


def _abandoned_files(uri: str) -> list[Garbage]:
    return [
        Garbage(str(file), "begun, and never finished", file.stat().st_size, None)
        for file in folders.abandoned_files(uri)
    ]


def _is_link(uri: str) -> bool:
    return storage.is_local(uri) and Path(uri).is_symlink()
