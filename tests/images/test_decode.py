import io

import numpy as np
import pytest
from PIL import Image

from gist_ray.images.decode import ImageError, decode

MAX_PIXELS = 10_000
WHITE = (255, 255, 255)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def decoded(image: Image.Image, kind: str, **options: object) -> list[tuple[int, ...]]:
    """The first row of the picture after a round trip."""
    result = decode(encoded(image, kind, **options), MAX_PIXELS)
    assert result.mode == "RGB"
    return [result.getpixel((x, 0)) for x in range(result.width)]


def row(*values: object, dtype: type) -> Image.Image:
    return Image.fromarray(np.array([values], dtype))


def test_grey_becomes_three_equal_channels():
    assert decoded(row(0, 100, 255, dtype=np.uint8), "PNG") == [(v,) * 3 for v in (0, 100, 255)]
    assert decoded(Image.new("1", (1, 1), 1), "PNG") == [WHITE]


def test_cmyk_becomes_rgb():
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    red, green, blue = decoded(cyan, "JPEG")[0]
    assert red < 10
    assert min(green, blue) > 245


def test_deep_grey_is_scaled_and_not_clipped():
    wanted = [(0,) * 3, (127,) * 3, (255,) * 3]
    assert decoded(row(0, 32768, 65535, dtype=np.uint16), "PNG") == wanted
    assert decoded(row(0, 32768, 65535, dtype=np.int32), "TIFF") == wanted
    assert decoded(row(0, 0.5, 1, dtype=np.float32), "TIFF") == wanted
    assert decoded(row(0, 127, 255, dtype=np.float32), "TIFF") == wanted


def test_a_white_level_scales_deep_grey_of_any_brightness():
    for values in ((0, 2048, 4095), (0, 100, 200)):
        data = encoded(row(*values, dtype=np.uint16), "PNG")
        pixels = decode(data, MAX_PIXELS, white_level=4095)
        assert [pixels.getpixel((x, 0))[0] for x in range(3)] == [v * 255 // 4095 for v in values]
    grey = encoded(row(0, 100, 200, dtype=np.uint8), "PNG")
    assert decode(grey, MAX_PIXELS, white_level=4095).getpixel((2, 0)) == (200,) * 3


def test_transparency_is_laid_on_white():
    assert decoded(Image.new("RGBA", (1, 1), (200, 0, 0, 0)), "PNG") == [WHITE]
    half = decoded(Image.new("RGBA", (1, 1), (255, 0, 0, 128)), "PNG")[0]
    assert half == pytest.approx((255, 127, 127), abs=1)
    assert decoded(Image.new("LA", (1, 1), (10, 0)), "PNG") == [WHITE]
    palette = Image.new("P", (3, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.putdata([0, 1, 2])
    assert decoded(palette, "PNG", transparency=0) == [WHITE, (0, 255, 0), (0, 0, 255)]
    assert decoded(palette, "PNG") == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    colour_key = Image.new("RGB", (1, 1), (1, 2, 3))
    assert decoded(colour_key, "PNG", transparency=(1, 2, 3)) == [WHITE]


def test_the_exif_orientation_is_applied():
    picture = Image.new("RGB", (2, 1))
    picture.putdata([(255, 0, 0), (0, 0, 255)])
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    turned = decode(encoded(picture, "PNG", exif=exif), MAX_PIXELS)
    assert turned.size == (1, 2)
    assert turned.getpixel((0, 0)) == (255, 0, 0)


def test_damaged_exif_takes_nothing_from_the_pixels():
    assert decoded(Image.new("RGB", (1, 1), "red"), "PNG", exif=b"garbage") == [(255, 0, 0)]


def test_of_an_animation_the_first_frame_counts():
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    assert decoded(frames[0], "GIF", save_all=True, append_images=frames[1:])[0] == (255, 0, 0)


def test_a_truncated_jpeg_is_corrupt():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG")
    with pytest.raises(ImageError, match="truncated") as caught:
        decode(data[: len(data) // 2], MAX_PIXELS)
    assert caught.value.kind == "corrupt"


@pytest.mark.parametrize("data", [b"", b"<html>404 Not Found</html>", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_corrupt(data):
    with pytest.raises(ImageError) as caught:
        decode(data, MAX_PIXELS)
    assert caught.value.kind == "corrupt"


def test_too_many_pixels_are_refused_before_decoding():
    data = encoded(Image.new("1", (200, 51)), "PNG")
    with pytest.raises(ImageError, match="200 x 51 pixels; at most 10,000") as caught:
        decode(data, MAX_PIXELS)
    assert caught.value.kind == "too_large"
    # beyond Pillow's own limit it raises before we can look
    bomb = encoded(Image.new("1", (20_000, 20_000)), "PNG")
    with pytest.raises(ImageError) as caught:
        decode(bomb, MAX_PIXELS)
    assert caught.value.kind == "too_large"


def test_a_thread_of_pixels_is_refused():
    """Scaled to 224 by its shorter side it would have 50 million pixels."""
    with pytest.raises(ImageError, match="longer than 100 times") as caught:
        decode(encoded(Image.new("RGB", (1, 1001)), "PNG"), MAX_PIXELS)
    assert caught.value.kind == "too_large"
