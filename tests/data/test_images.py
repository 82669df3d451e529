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
    path = saved(tmp_path / "1.png", np.arange(60_000, dtype=np.uint8)[None])
    with pytest.raises(DataError, match=r"^huge scaled image: 1920000 x 32"):
        read_line(path, 32)


def test_a_line_has_the_requested_height_and_keeps_its_aspect(tmp_path) -> None:
    line = read_line(saved(tmp_path / "1.png", NOISE), 32)
    assert (line.shape, line.dtype) == ((32, 80), np.uint8)


def test_a_line_of_its_own_height_keeps_its_greys(tmp_path) -> None:
    np.testing.assert_array_equal(read_line(saved(tmp_path / "1.png", NOISE), 40), NOISE)


def test_a_needle_is_at_least_one_pixel_wide(tmp_path) -> None:
    assert read_line(saved(tmp_path / "1.png", np.arange(1800, dtype=np.uint8).reshape(900, 2)), 32).shape == (32, 1)


def test_what_is_transparent_behind_dark_ink_is_white(tmp_path) -> None:
    pixels = np.zeros((4, 3, 4), np.uint8)
    pixels[:, 1:, 3] = [128, 255]
    line = read_line(saved(tmp_path / "1.png", pixels), 4)
    assert line[0].tolist() == [255, 127, 0]


def test_a_transparent_palette_colour_behind_dark_ink_is_white(tmp_path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "L").convert("P")
    image.putpalette([0, 0, 0, 90, 90, 90])
    image.save(tmp_path / "1.png", transparency=0)
    assert read_line(tmp_path / "1.png", 1)[0].tolist() == [255, 90]


def test_what_is_transparent_behind_light_ink_is_black(tmp_path) -> None:
    pixels = np.full((4, 6, 4), 255, np.uint8)
    pixels[:, 1:, 3] = [128, 255, 0, 0, 0]
    pixels[:, 0, 3] = 0
    assert read_line(saved(tmp_path / "1.png", pixels), 4)[0].tolist() == [0, 128, 255, 0, 0, 0]


def test_bold_ink_that_fills_most_of_an_image_is_still_ink(tmp_path) -> None:
    pixels = np.full((4, 5, 4), 240, np.uint8)
    pixels[..., 3] = [255, 255, 255, 255, 0]
    assert read_line(saved(tmp_path / "1.png", pixels), 4)[0].tolist() == [240, 240, 240, 240, 0]


@pytest.mark.parametrize(("paper", "ink", "corner"), [(250, 10, 255), (5, 230, 0)])
def test_transparent_corners_of_opaque_paper_continue_the_paper(tmp_path, paper: int, ink: int, corner: int) -> None:
    pixels = np.full((4, 6, 4), paper, np.uint8)
    pixels[:, 2:4, :3] = ink
    pixels[..., 3] = [0, 255, 255, 255, 255, 255]
    assert read_line(saved(tmp_path / "1.png", pixels), 4)[0].tolist() == [corner, paper, ink, ink, paper, paper]


@pytest.mark.parametrize("light", [0, 255])
def test_an_opaque_image_with_an_alpha_channel_is_read_as_one_without(tmp_path, light: int) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (8, 20, 3), dtype=np.uint8) // 4 + light // 4 * 3
    opaque = np.concatenate([colours, np.full((8, 20, 1), 255, np.uint8)], 2)
    lines = [read_line(saved(tmp_path / f"{n}.png", pixels), 8) for n, pixels in enumerate((colours, opaque))]
    np.testing.assert_array_equal(*lines)


def test_an_image_that_is_transparent_everywhere_is_reported(tmp_path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (8, 20, 4), dtype=np.uint8)
    pixels[..., 3] = 0
    with pytest.raises(DataError, match=r"^every pixel is transparent, nothing to read; save it with opaque ink$"):
        inspect_image(saved(tmp_path / "1.png", pixels))


def test_12_bit_greys_in_a_16_bit_file_are_stretched_to_their_content(tmp_path) -> None:
    greys = np.arange(0, 4096, 16, dtype=np.uint16)[None]
    line = read_line(saved(tmp_path / "1.png", greys), 1)
    assert line[0].tolist() == list(range(256))


@pytest.mark.parametrize(
    ("kind", "suffix"), [(np.int32, "tif"), (np.float32, "tif"), (np.uint16, "png"), (np.uint16, "tif")]
)
def test_wide_greys_reach_from_black_to_white(tmp_path, kind: type, suffix: str) -> None:
    path = saved(tmp_path / f"1.{suffix}", np.array([[1000, 1051, 1255]], kind))
    assert read_line(path, 1)[0].tolist() == [0, 51, 255]


def deep_png(path: Path, pixels: np.ndarray) -> Path:
    """A PNG of 16 bits a colour, which Pillow reads but does not write."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    height, width, bands = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[bands], 0, 0, 0)
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


@pytest.mark.parametrize("bands", [3, 4])
def test_16_bit_colours_that_use_12_bits_are_reported(tmp_path, bands: int) -> None:
    path = deep_png(tmp_path / "1.png", np.random.default_rng(0).integers(0, 4096, (8, 20, bands)))
    message = r"^16-bit colours of which only the darkest eighth is used; save it as 8-bit colours or as grey$"
    with pytest.raises(DataError, match=message):
        inspect_image(path)


@pytest.mark.parametrize("suffix", ["bmp", "tif", "png"])
def test_a_dark_image_of_8_bits_is_read(tmp_path, suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 32, (16, 160, 3), dtype=np.uint8)
    assert inspect_image(saved(tmp_path / f"1.{suffix}", pixels)) == (160, 16)


def test_a_dark_bitmap_of_16_bits_a_pixel_is_read(tmp_path) -> None:
    """These are 5 or 6 bits a colour, so that nothing is lost."""
    pixels = np.zeros((16, 40), "<u2")
    pixels[:, 20:] = 0b00011_000110_00011
    header = struct.pack("<IiiHHIIiiII", 40, 40, 16, 1, 16, 3, pixels.nbytes, 0, 0, 0, 0)
    masks = struct.pack("<III", 0b11111_000000_00000, 0b111111_00000, 0b11111)
    start = struct.pack("<IHHI", 66 + pixels.nbytes, 0, 0, 66)
    (tmp_path / "1.bmp").write_bytes(b"BM" + start + header + masks + pixels.tobytes())
    assert inspect_image(tmp_path / "1.bmp") == (40, 16)


def test_16_bit_colours_are_read(tmp_path) -> None:
    path = deep_png(tmp_path / "1.png", np.repeat([[[0], [257 * 100], [65535]]], 3, 2))
    assert read_line(path, 1)[0].tolist() == [0, 100, 255]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
@pytest.mark.parametrize("empty", [0, 2])
def test_the_first_frame_with_content_is_read(tmp_path, suffix: str, empty: int) -> None:
    content = np.zeros((16, 40), np.uint8)
    content[:, 20:] = 255
    frames = [Image.new("L", (40, 16), 255)] * empty + [
        Image.fromarray(content),
        Image.fromarray(content.T[:16].repeat(3, 1)[:, :40]),
    ]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"1.{suffix}", save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(read_line(tmp_path / f"1.{suffix}", 16), content)


@pytest.mark.parametrize("suffix", ["gif", "tif"])
def test_frames_without_content_are_reported_as_one_colour(tmp_path, suffix: str) -> None:
    frames = [Image.new("L", (40, 16), grey) for grey in (255, 0, 255)]
    frames[0].save(tmp_path / f"1.{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"^one colour, nothing to read; remove it, or save it again$"):
        inspect_image(tmp_path / f"1.{suffix}")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "CMYK"])
def test_an_image_of_one_colour_is_reported(tmp_path, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    Image.new("RGB", (40, 16), (255, 255, 255)).convert("L").convert(mode).save(tmp_path / f"1.{suffix}")
    for read in (inspect_image, lambda path: read_line(path, 16)):
        with pytest.raises(DataError, match=r"^one colour, nothing to read; remove it, or save it again$"):
            read(tmp_path / f"1.{suffix}")


def test_an_image_of_one_colour_and_one_other_pixel_is_read(tmp_path) -> None:
    pixels = np.full((16, 40), 255, np.uint8)
    pixels[3, 3] = 254
    assert inspect_image(saved(tmp_path / "1.png", pixels)) == (40, 16)


def test_colours_of_the_same_brightness_are_reported(tmp_path) -> None:
    pixels = np.zeros((16, 40, 3), np.uint8)
    pixels[:, :20] = [200, 0, 0]
    pixels[:, 20:] = [0, 102, 0]
    message = r"^its colours have the same brightness, nothing to read in grey; save it as dark ink on light paper$"
    with pytest.raises(DataError, match=message):
        inspect_image(saved(tmp_path / "1.png", pixels))


@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (90, -1), (180, 2), (270, 1)])
def test_an_image_is_turned_clockwise(tmp_path, degrees: int, turns: int) -> None:
    path = saved(tmp_path / "1.png", NOISE)
    turned = np.rot90(NOISE, turns)
    assert inspect_image(path, degrees) == turned.shape[::-1]
    np.testing.assert_array_equal(read_line(path, turned.shape[0], degrees), turned)


def test_an_image_is_turned_after_its_exif_orientation(tmp_path) -> None:
    orientation = Image.Exif()
    orientation[0x0112] = 6  # stored a quarter turn counter-clockwise
    path = saved(tmp_path / "1.png", NOISE, exif=orientation)
    np.testing.assert_array_equal(read_line(path, 40, 270), NOISE)


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
