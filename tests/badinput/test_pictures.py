"""All kinds of pictures, places and names through the real job, together with good pictures."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gist_ray.images.decode import ImageError, decode
from tests.badinput import broken_pictures, names, pictures, places
from tests.badinput.conftest import (
    SMALL,
    Ended,
    Grounds,
    artifacts,
    embeddings,
    error_rows,
    run_job,
)
from tests.badinput.drawing import encoded, noise
from tests.badinput.kinds import PictureFile

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]

GOOD = "good"
NUM_GOOD = 12
TEXTS = [
    "a bird \x1b[31mred\x1b[0m and <script>alert(3)</script>",
    '"><img src=x onerror=alert(4)>',
]


@dataclass(frozen=True)
class Runs:
    """Three runs: over a folder with everything, over a table, over the good pictures alone."""

    folder: Ended
    table: Ended
    good: Ended
    path: Path

    def root(self, name: str) -> Path:
        return self.path / f"root_{name}"

    def kind_of(self, run: str, file_name: str) -> str | None:
        """The kind of a file's error row, "" if it was embedded, None if it has none of both."""
        found = [r["kind"] for r in error_rows(self.root(run)) if file_name in r["uri"]]
        assert len(found) <= 1, found
        return found[0] if found else self.is_embedded(run, file_name)

    def is_embedded(self, run: str, file_name: str) -> str | None:
        (manifest,) = artifacts(self.root(run), "manifest")
        rows = manifest.read().to_pylist()
        ids = {row["image_id"] for row in rows if file_name in row["uri"]}
        return "" if ids & embeddings(self.root(run)).keys() else None


def write_good(data: Path) -> None:
    """Good pictures of every class, and those that are unusual and fine."""
    for place, folder in enumerate((GOOD, *(kind.folder for kind in names.CLASS_NAMES))):
        (data / folder).mkdir(parents=True)
        for number in range(1 if folder == "rare" else NUM_GOOD):
            picture = encoded(noise(100 * place + number), "PNG")
            (data / folder / f"{number}.png").write_bytes(picture)
    write(data, pictures.KINDS)
    for name in names.FILE_NAMES:
        if not name.kind:
            (data / GOOD / name.file_name.decode()).write_bytes(encoded(noise(7), "PNG"))


def write(data: Path, kinds: list[PictureFile]) -> None:
    for kind in kinds:
        for name, content in kind.files().items():
            (data / GOOD / name).write_bytes(content)


def write_table(data: Path) -> str:
    """A table beside the good pictures that names them, every place and every odd path."""
    paths = [f"{GOOD}/{number}.png" for number in range(NUM_GOOD)]
    paths += [f"{GOOD}/{place.name}" for place in places.KINDS]
    sentinel = str(data.parent / "sentinel")
    paths += [named.path.replace("{sentinel}", sentinel) for named in places.PATHS]
    rows = [{"image": path, "class_name": GOOD, "split": "train"} for path in paths]
    rows.append({"image": "rare/0.png", "class_name": "rare", "split": "train"})
    file = data / "table.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


@pytest.fixture(scope="module")
def runs(ray_local: None, grounds: Grounds) -> Iterator[Runs]:
    data, alone = grounds.path / "data", grounds.path / "alone"
    write_good(data)
    write_good(alone)
    write(data, broken_pictures.KINDS)
    for place in places.KINDS:
        place.make(data / GOOD / place.name)
    for name in names.FILE_NAMES:
        if name.kind:
            (Path(f"{data}/{GOOD}") / name.file_name.decode(errors="surrogateescape")).touch()
    texts = grounds.path / "texts.json"
    shown = [" ".join(kind.folder.split()) for kind in names.CLASS_NAMES]
    texts.write_text(json.dumps(dict.fromkeys((GOOD, *shown), TEXTS)))
    common = [
        *SMALL,
        f"texts.import_from={texts}",
        "texts.cleaning.skip=[shared_by_classes]",
        f"embed.max_image_mib={broken_pictures.MAX_IMAGE_MIB}",
        "max_failed_fraction=1",
    ]

    def job(name: str, *words: str) -> Ended:
        return run_job(*common, f"root={grounds.path}/root_{name}", *words)

    from gist_ray.run import run_job as running

    def connect_late() -> float:
        (data / GOOD / places.VANISHES).unlink(missing_ok=True)
        return connect()

    connect = running.connect
    folder = ["data=image_folder", "name=folder"]
    only = ["--until", "embed images"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "connect", connect_late)
        bad = job("folder", *folder, f"data.path={data}")
        (data / GOOD / places.VANISHES).touch()
        table = job("table", "data=manifest", f"data.path={write_table(data)}", *only)
    good = job("good", *folder, f"data.path={alone}", *only)
    yield Runs(bad, table, good, grounds.path)
    grounds.assert_untouched()


def test_the_runs_end_well(runs: Runs) -> None:
    assert (runs.folder.code, runs.folder.complained) == (0, "")
    assert (runs.table.code, runs.table.complained) == (0, "")
    assert (runs.good.code, runs.good.complained) == (0, "")
    assert not error_rows(runs.root("good"))


@pytest.mark.parametrize("kind", pictures.KINDS, ids=lambda kind: kind.name)
def test_an_unusual_picture_is_what_it_shows(runs: Runs, kind: pictures.FinePicture) -> None:
    for name, content in kind.files().items():
        image = decode(content, 10**8)
        for place, colour in enumerate(kind.colours):
            x, y = (0.25 + 0.5 * side for side in (place % 2, place // 2))
            shown = image.getpixel((int(x * image.width), int(y * image.height)))
            assert shown == pytest.approx(colour, abs=12)
        assert runs.kind_of("folder", f"/{name}") == ""


@pytest.mark.parametrize("kind", broken_pictures.KINDS, ids=lambda kind: kind.name)
def test_a_broken_picture_is_an_error_row(runs: Runs, kind: broken_pictures.BrokenPicture) -> None:
    for name in kind.files():
        assert runs.kind_of("folder", f"/{name}") in kind.kinds


@pytest.mark.parametrize("place", places.KINDS, ids=lambda kind: kind.name)
def test_what_lies_in_the_place_of_a_picture(runs: Runs, place: places.Place) -> None:
    assert runs.kind_of("folder", f"/{place.name}") == place.in_folder
    assert runs.kind_of("table", f"/{place.name}") == place.in_table


@pytest.mark.parametrize("named", places.PATHS, ids=lambda kind: kind.name)
def test_a_path_in_a_table(runs: Runs, named: places.NamedPath) -> None:
    path = named.path.removeprefix("../").replace("{sentinel}", "sentinel")
    assert runs.kind_of("table", path) == named.kind
    assert not [row for row in error_rows(runs.root("table")) if places.SECRET in row["message"]]


@pytest.mark.parametrize("name", names.FILE_NAMES, ids=lambda kind: kind.name)
def test_a_picture_of_a_bad_name(runs: Runs, name: names.FileName) -> None:
    shown = name.file_name.decode(errors="surrogateescape")
    shown = shown.encode(errors="backslashreplace").decode()
    assert runs.kind_of("folder", f"/{shown}") == name.kind


def test_good_rows_are_bit_for_bit_those_of_a_run_without_the_bad(runs: Runs) -> None:
    wanted = embeddings(runs.root("good"))
    assert len(wanted) > 80
    for run in ("folder", "table"):
        found = embeddings(runs.root(run))
        common = wanted.keys() & found.keys()
        assert len(common) == (len(wanted) if run == "folder" else NUM_GOOD + 1)
        assert {key: found[key] for key in common} == {key: wanted[key] for key in common}


def test_the_terminal_is_not_steered(runs: Runs) -> None:
    for run in (runs.folder, runs.table, runs.good):
        assert "\x1b" not in run.said
        assert "\x07" not in run.said


def test_ghostscript_is_never_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is one: Pillow would hand it every file that begins as an EPS does."""
    started = tmp_path / "started"
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {started}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    with pytest.raises(ImageError):
        decode(broken_pictures.EPS, 10**8)
    assert not started.exists()


class Page(HTMLParser):
    """The tags of a page as a browser would see them, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_shows_names_and_runs_none(runs: Runs) -> None:
    page = Page((runs.root("folder") / "runs" / "folder" / "report.html").read_text())
    assert [tag for tag, _ in page.tags].count("script") == 1  # its own
    assert not [attrs for tag, attrs in page.tags if tag == "script" and attrs]
    assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]
    images = [attrs.get("src") or "" for tag, attrs in page.tags if tag == "img"]
    assert all(source.startswith("data:image/") for source in images)
    (with_html,) = [kind.folder for kind in names.CLASS_NAMES if "HTML" in kind.name]
    assert with_html in page.text
    assert "corrupt" in page.text
