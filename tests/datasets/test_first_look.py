import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.first_look import look_at_pictures
from gist_ray.datasets.ingest import ingest
from gist_ray.errors import UserError
from gist_ray.images.limits import ImageLimits

GREY = Image.new("RGB", (30, 20), (90, 90, 90))
BLACK = Image.new("RGB", (300, 200), (9, 9, 9))


def ramp(highest: int) -> Image.Image:
    """16-bit grey from 0 to `highest`."""
    return Image.fromarray(np.linspace(0, highest, 600).astype(np.uint16).reshape(20, 30))


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def look(folder: Path, paths: list[str], **limits: float) -> list[str]:
    """What is said of a table of these pictures."""
    rows = [f"{path},{'ab'[at % 2]}" for at, path in enumerate(paths)]
    (folder / "table.csv").write_text("\n".join(["image,class_name", *rows]))
    config = DataConfig(layout="manifest", path=str(folder / "table.csv"))
    found = ingest(config, str(folder / "indices"))
    return look_at_pictures(found.manifest, ImageLimits(**limits), found.root)


def written(folder: Path, images: dict[str, Image.Image]) -> list[str]:
    for path, image in images.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(encoded(image))
    return list(images)


def test_sizes_and_pictures_that_cannot_be_read_are_told(tmp_path):
    paths = written(tmp_path, {"1.png": GREY, "2.png": BLACK, "3.png": GREY, "4.png": GREY})
    (tmp_path / "4.png").write_bytes(b"nothing of a picture")
    sizes, dark, unread = look(tmp_path, [*paths, "5.png", "6.png"])
    assert sizes == "looked at 6 pictures: 30 x 20 to 300 x 200 pixels"
    assert dark.startswith("of 6 pictures looked at, 1 are nearly black")
    assert dark.endswith("2.png)")
    assert "3 cannot be read: missing 2, corrupt 1 (first:" in unread


def test_a_few_of_many_are_looked_at(tmp_path):
    paths = written(tmp_path, {f"{at}.png": GREY for at in range(100)})
    assert look(tmp_path, paths) == ["looked at 24 pictures: 30 x 20 to 30 x 20 pixels"]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (r"photos\a\1.png", r"write / for \."),
        (r"C:\data\photos\a\1.png", r"write / for \ and leave out data/."),
        ("/home/anna/photos/a/1.png", "leave out home/anna/."),
        ("a/1.png", "begin with photos/ (they are relative to"),
        ("photos/a/1", "write the ending .png."),
        (r"a\1", "write / for \\ and begin with photos/ (they are relative to"),
    ],
)
def test_where_no_picture_is_there_the_plan_says_where_they_are(tmp_path, given, hint):
    written(tmp_path, {"photos/a/1.png": GREY, "photos/a/2.png": GREY})
    with pytest.raises(UserError) as refused:
        look(tmp_path, [given, given.replace("1", "2")])
    message = str(refused.value)
    assert "none of 2 pictures looked at is there; the first is" in message
    assert f"{tmp_path}/photos/a/1.png is there. In the paths, {hint}" in message


def test_where_the_pictures_are_nowhere_it_is_said_what_paths_are_relative_to(tmp_path):
    with pytest.raises(UserError, match=rf"what they are relative to \({tmp_path}\)"):
        look(tmp_path, ["a/1.png", "b/2.png"])


def test_few_bits_in_sixteen_ask_for_the_white_level(tmp_path):
    paths = written(tmp_path, {"1.png": ramp(4095), "2.png": ramp(3000), "3.png": GREY})
    with pytest.raises(UserError, match=r"end at 4,095 in the 2 looked at.*white_level=4095 if"):
        look(tmp_path, paths)
    assert len(look(tmp_path, paths, white_level=4095)) == 1
    _, dark = look(tmp_path, paths, white_level=65535)
    assert dark.startswith("of 3 pictures looked at, 2 are nearly black")


def test_all_sixteen_bits_are_as_they_are(tmp_path):
    paths = written(tmp_path, {"1.png": ramp(65535), "2.png": ramp(200)})
    assert len(look(tmp_path, paths)) == 1
