"""A folder of results that belongs to one job: no job of another name, and none with other
settings, writes to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gist_ray.errors import UserError
from gist_ray.run.runs import run_names
from gist_ray.store import storage
from gist_ray.store.artifacts import ARTIFACT_FILE


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The settings whose results a folder holds, and the file that stores them."""

    folder: str
    file: str
    """Such as "prediction.json"."""

    job: str
    """The name of the job, whose record may lie in the folder before the file does."""

    kept: str
    """A noun for the results, for messages: "prediction"."""

    settings: Mapping[str, Any]
    """Plain values that decide the results."""

    @property
    def uri(self) -> str:
        return storage.join(storage.absolute(self.folder), self.file)


def check_claim(claim: Claim) -> None:
    """Raises UserError if the folder belongs to another job, or to the same with other settings.

    A folder that the job has claimed stays its own whatever runs are added to it later.
    """
    if not storage.exists(claim.uri):
        _refuse_foreign(claim)
        return
    try:
        found = storage.read_json(claim.uri)
    except ValueError as error:
        raise UserError(
            f"{claim.uri}: is not valid JSON ({error}). Choose another folder for out, or delete "
            "this one."
        ) from error
    known = found if isinstance(found, dict) else {}
    differ = sorted(
        name for name, value in claim.settings.items() if name not in known or known[name] != value
    )
    if differ:
        raise UserError(
            f"{claim.uri}: another {claim.kept} is kept here ({', '.join(differ)} differ). Choose "
            "another folder for out, or delete this one."
        )


def make_claim(claim: Claim) -> None:
    """Writes the claim to its file. Raises UserError as `check_claim` does."""
    check_claim(claim)
    storage.write_json(claim.uri, claim.settings)


def _refuse_foreign(claim: Claim) -> None:
    """Raises UserError if the folder holds a packed set or runs of other jobs. Their files would
    get mixed, and deleting the folder for one job would delete both."""
    folder = storage.absolute(claim.folder)
    others = [name for name in run_names(folder) if name != claim.job]
    if storage.exists(storage.join(folder, ARTIFACT_FILE)):
        others.append("a packed set")
    if others:
        raise UserError(
            f"out={claim.folder}: something else is kept here ({', '.join(others)}). Choose a "
            f"folder of its own for the {claim.kept}, such as {claim.folder.rstrip('/')}/new."
        )
