"""Fetches the npm packages with the pictures and names by npm, and unpacks them."""

import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gist_ray.errors import UserError


@dataclass(frozen=True)
class Package:
    """An npm package, of which only some members are unpacked."""

    spec: str
    """Name and version, as `npm install` takes them."""

    members: tuple[str, ...]
    """Prefixes of the names of the needed members, below the package's own folder."""

    credit: str
    """The makers of the pictures and their licence, for LICENCES.md."""


PACKAGES: Mapping[str, Package] = {
    "openmoji": Package(
        "openmoji@17.0.0",
        ("color/svg/", "data/openmoji.json"),
        "OpenMoji (https://openmoji.org), CC BY-SA 4.0; its annotations are the names and keywords "
        "of the Unicode CLDR (Unicode License v3)",
    ),
    "google": Package(
        "emoji-datasource-google@16.0.0",
        ("img/google/64/", "emoji.json"),
        "Noto Emoji by Google, Apache-2.0, as packed by emoji-datasource (MIT)",
    ),
    "twitter": Package(
        "emoji-datasource-twitter@16.0.0",
        ("img/twitter/64/", "emoji.json"),
        "Twemoji (https://github.com/jdecked/twemoji), CC BY 4.0, as packed by emoji-datasource "
        "(MIT)",
    ),
    "fluent": Package(
        "@lobehub/fluent-emoji-flat@1.1.0",
        ("assets/",),
        "Fluent Emoji by Microsoft, MIT, as packed by @lobehub/fluent-emoji-flat (MIT)",
    ),
}
"""One package per vendor. OpenMoji's also has the names of all emoji."""

PAPERS = ("LICENSE", "README.md", "package.json")
"""Members that are always unpacked: the package's licence and description."""


def fetch_packages(folder: Path) -> dict[str, Path]:
    """Fetches and unpacks the packages that `folder` does not have yet. Returns {vendor: folder of
    its package}.

    npm uses the registry that it is configured for and verifies the download. Raises UserError if
    npm is missing or fails.
    """
    return {vendor: _fetched(package, folder) for vendor, package in PACKAGES.items()}


def _fetched(package: Package, folder: Path) -> Path:
    target = folder / package.spec.lstrip("@").replace("/", "-")
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        npm_pack(package.spec, Path(scratch))
        archive = next(Path(scratch).glob("*.tgz"))
        unpacked = unpack(archive, package.members, Path(scratch) / "unpacked")
        shutil.move(unpacked, target)  # a rename, which is atomic
    return target


def npm_pack(spec: str, folder: Path) -> None:
    """Downloads the package's .tgz into `folder` by npm. Raises UserError if that fails."""
    print(f"npm pack {spec}", flush=True)
    command = ["npm", "pack", spec, "--loglevel", "error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise UserError("npm is not installed: it comes with Node.js.") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise UserError(f"npm pack {spec} failed ({said}). `npm ping` says if it has a registry.")


def unpack(archive: Path, members: tuple[str, ...], target: Path) -> Path:
    """Extracts the wanted members of an npm archive, without its top folder, below `target`, and
    returns `target`."""
    with tarfile.open(archive) as tar:
        for member in tar:
            _, _, name = member.name.partition("/")
            if member.isfile() and name.startswith((*members, *PAPERS)):
                # the filter "data" refuses links and names that point out of the folder
                tar.extract(member.replace(name=name), target, filter="data")
    return target
