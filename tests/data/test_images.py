"""One image, looked at or read: what comes out, and how each kind of broken one is told."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seqloss.data.images import MAX_PIXELS, inspect_image, read_line
from seqloss.errors import DataError


def png(path: Path, width: int, height: int) -> Path:
    """A PNG whose header claims a size, with hardly any pixels behind it."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def saved(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


NOISE = np.random.default_rng(0).integers(0, 256, (40, 100), dtype=np.uint8)


def test_a_good_image_gives_its_width_and_height(tmp_path) -> None:
    assert inspect_image(saved(tmp_path / "1.png", NOISE)) == (100, 40)


def test_an_image_may_have_another_formats_suffix(tmp_path) -> None:
    Image.fromarray(NOISE).save(tmp_path / "1.png", format="JPEG")
    assert inspect_image(tmp_path / "1.png") == (100, 40)


def test_a_missing_file_is_reported(tmp_path) -> None:
    with pytest.raises(DataError, match=r"^no such file$"):
        inspect_image(tmp_path / "1.png")


def test_a_folder_in_an_images_place_is_reported(tmp_path) -> None:
    with pytest.raises(DataError, match=r"^not an image but a folder or a device$"):
        inspect_image(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_a_file_that_is_no_image_is_reported(tmp_path, content: bytes) -> None:
    (tmp_path / "1.png").write_bytes(content)
    with pytest.raises(DataError, match=r"^not an image that can be read, or one without pixels; expected PNG, JPEG"):
        inspect_image(tmp_path / "1.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
def test_a_truncated_image_is_reported(tmp_path, suffix: str) -> None:
    path = saved(tmp_path / f"1.{suffix}", NOISE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])
    with pytest.raises(DataError, match=r"^(broken or truncated image \(.*\); copy it again|not an image)"):
        inspect_image(path)


def test_an_image_with_a_damaged_byte_is_reported(tmp_path) -> None:
    path = saved(tmp_path / "1.png", NOISE)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"^broken or truncated image"):
        inspect_image(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [7072, 10_000])
def test_a_huge_image_is_refused_from_its_header(tmp_path, side: int) -> None:
    found = f"{side} x {side}, at most {MAX_PIXELS:,} pixels"
    with pytest.raises(DataError, match=rf"^huge image: {found}; scale it down$"):
        inspect_image(png(tmp_path / "1.png", side, side))


def test_an_image_huge_enough_for_pillow_to_refuse_is_reported_in_our_words(tmp_path) -> None:
    with pytest.raises(DataError, match=r"^huge image: more than 50,000,000 pixels; scale it down$"):
        inspect_image(png(tmp_path / "1.png", 60_000, 60_000))


def test_an_image_without_pixels_is_reported(tmp_path) -> None:
    with pytest.raises(DataError, match=r"^not an image that can be read, or one without pixels"):
        inspect_image(png(tmp_path / "1.png", 0, 40))


def test_a_line_that_scaling_would_make_huge_is_refused(tmp_path) -> None:
    path = saved(tmp_path / "1.png", np.zeros((1, 60_000), np.uint8))
    with pytest.raises(DataError, match=r"^huge scaled image: 1920000 x 32"):
        read_line(path, 32)


def test_a_line_has_the_requested_height_and_keeps_its_aspect(tmp_path) -> None:
    line = read_line(saved(tmp_path / "1.png", NOISE), 32)
    assert (line.shape, line.dtype) == ((32, 80), np.uint8)


def test_a_line_of_its_own_height_keeps_its_greys(tmp_path) -> None:
    np.testing.assert_array_equal(read_line(saved(tmp_path / "1.png", NOISE), 40), NOISE)


def test_a_needle_is_at_least_one_pixel_wide(tmp_path) -> None:
    assert read_line(saved(tmp_path / "1.png", np.zeros((900, 2), np.uint8)), 32).shape == (32, 1)


def test_what_is_transparent_shows_white(tmp_path) -> None:
    pixels = np.zeros((4, 3, 4), np.uint8)
    pixels[:, 1:, 3] = [128, 255]
    line = read_line(saved(tmp_path / "1.png", pixels), 4)
    assert line[0].tolist() == [255, 127, 0]


def test_a_transparent_palette_colour_shows_white(tmp_path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "L").convert("P")
    image.putpalette([0, 0, 0, 90, 90, 90])
    image.save(tmp_path / "1.png", transparency=0)
    assert read_line(tmp_path / "1.png", 1)[0].tolist() == [255, 90]


def test_16_bit_greys_span_the_same_range(tmp_path) -> None:
    path = saved(tmp_path / "1.png", np.array([[0, 257 * 100, 65535]], np.uint16))
    assert read_line(path, 1)[0].tolist() == [0, 100, 255]


def test_float_greys_are_stretched(tmp_path) -> None:
    path = saved(tmp_path / "1.tif", np.array([[-1.0, 0.0, 1.0]], np.float32))
    assert read_line(path, 1)[0].tolist() == [0, 128, 255]


def test_float_greys_with_nan_are_reported(tmp_path) -> None:
    path = saved(tmp_path / "1.tif", np.array([[np.nan, 0.0]], np.float32))
    with pytest.raises(DataError, match=r"^the image has NaN or infinite values; save it as 8-bit grey$"):
        inspect_image(path)


def test_a_one_bit_image_is_black_and_white(tmp_path) -> None:
    path = saved(tmp_path / "1.png", np.array([[True, False]]))
    assert read_line(path, 1)[0].tolist() == [255, 0]


def test_a_photograph_is_turned_upright(tmp_path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    path = saved(tmp_path / "1.jpg", NOISE, exif=turned)
    assert inspect_image(path) == (40, 100)


def test_a_colour_mode_that_is_not_read_is_reported(tmp_path) -> None:
    Image.new("LAB", (2, 2)).save(tmp_path / "1.tif")
    with pytest.raises(DataError, match=r"^colour mode LAB is not read; save it as grey or RGB$"):
        inspect_image(tmp_path / "1.tif")


def test_a_format_that_would_start_another_program_is_not_opened(tmp_path) -> None:
    Image.fromarray(NOISE).save(tmp_path / "1.png", format="EPS")
    with pytest.raises(DataError, match=r"^not an image that can be read"):
        inspect_image(tmp_path / "1.png")
