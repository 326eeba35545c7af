"""What lies in a store for nobody: artifacts that no run refers to, and what the dead left."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from gist_ray.errors import UserError
from gist_ray.operate.inventory import Place, places
from gist_ray.operate.life import is_dead, read_sign, who
from gist_ray.operate.pulse import PROGRESS_FILE
from gist_ray.run.runs import (
    CONFIG_FILE,
    SIGN_FILE,
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
class Rubbish:
    """Something that can go: an artifact's folder, or a file in one that stays."""

    uri: str
    why: str
    num_bytes: int
    place: Place | None
    """None for a file."""


def find_rubbish(root: str, forget: str | None = None) -> list[Rubbish]:
    """What below <root>/artifacts nobody refers to and nobody alive is making.

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
            found.append(Rubbish(uri, why, folders.num_bytes(uri), place))
    return found


def remove(root: str, rubbish: Collection[Rubbish]) -> None:
    store = ArtifactStore(root)
    for one in rubbish:
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
    """A config may name an artifact's folder, as clip.model=local-dir:... does."""
    uri = storage.join(run_folder(root, name), CONFIG_FILE)
    return storage.read_text(uri) if storage.exists(uri) else ""


def _check_forgettable(root: str, name: str, names: Collection[str]) -> None:
    if name not in names:
        known = ", ".join(names) or "none"
        raise UserError(f"--run {name}: there is no such run in {root}. There are: {known}.")
    sign = read_sign(storage.join(run_folder(root, name), SIGN_FILE))
    if sign and not is_dead(sign):
        raise UserError(f"--run {name}: {who(sign)} is running it. End it first.")


def _is_being_made(uri: str) -> bool:
    sign = read_sign(storage.join(uri, PROGRESS_FILE))
    return sign is not None and not is_dead(sign)


def _abandoned_files(uri: str) -> list[Rubbish]:
    return [
        Rubbish(str(file), "begun, and never finished", file.stat().st_size, None)
        for file in folders.abandoned_files(uri)
    ]


def _is_link(uri: str) -> bool:
    return storage.is_local(uri) and Path(uri).is_symlink()
