import base64
import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from gist_ray.report.thumbnails import thumbnail


def decoded(data_uri):
    head, _, encoded = data_uri.partition(";base64,")
    assert head in ("data:image/png", "data:image/jpeg")
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def test_bounded_and_never_enlarged(tmp_path):
    Image.new("RGB", (900, 300)).save(tmp_path / "wide.jpg")
    Image.new("RGB", (20, 10)).save(tmp_path / "small.png")
    assert decoded(thumbnail(str(tmp_path / "wide.jpg"), 160)).size == (160, 53)
    assert decoded(thumbnail(str(tmp_path / "small.png"), 160)).size == (20, 10)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    kind = "tiff" if mode == "CMYK" else "png"
    Image.new(mode, (8, 8)).save(tmp_path / f"image.{kind}")
    assert decoded(thumbnail(str(tmp_path / f"image.{kind}"))).mode == "RGB"


def test_transparent_pixels_become_white(tmp_path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert decoded(thumbnail(str(tmp_path / "clear.png"))).getpixel((4, 4)) == (255, 255, 255)


def test_nothing_but_pixels_passes(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "<script>alert(1)</script>")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info, icc_profile=b"secret")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", comment=b"<script>", icc_profile=b"secret")
    for name in ("a.png", "a.jpg"):
        clean = decoded(thumbnail(str(tmp_path / name)))
        assert not {"Comment", "comment", "icc_profile", "exif"} & set(clean.info)


def test_deep_grey_is_shown_from_black_to_white_whatever_its_scale(tmp_path):
    values = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "deep.png")
    low, high = decoded(thumbnail(str(tmp_path / "deep.png"), 8)).convert("L").getextrema()
    assert (low, high) == (0, 255)


def test_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert decoded(thumbnail(str(tmp_path / "turned.jpg"))).size == (20, 40)


@pytest.mark.parametrize("content", [b"", b"<svg onload='alert(1)'/>", b"\x89PNG\r\n\x1a\n\x00"])
def test_what_is_no_picture_is_none(tmp_path, content):
    (tmp_path / "image.png").write_bytes(content)
    assert thumbnail(str(tmp_path / "image.png")) is None


def test_a_missing_file_is_none(tmp_path):
    assert thumbnail(str(tmp_path / "gone.png")) is None
    assert thumbnail("nosuch://bucket/a.png") is None
