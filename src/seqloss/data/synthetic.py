"""Images of words, rendered on the fly: a data set without files, with new images in every epoch.

Each image is a function of (seed, split, epoch, index): every process renders the same bits, in any order.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from seqloss.data.fonts import find_font_files, load_font
from seqloss.data.vocabulary import frames_needed
from seqloss.data.words import SPLITS, Split, split_words

SIZES = (16, 18, 20, 22, 24)  # of a face, in pixels, for a line 32 pixels high
TURN = math.radians(3)
EDGE = 1  # pixels of margin


class SyntheticWords:
    """Synthetic words of one split.

    Training items are random in each epoch. Validation and test items are the same in every epoch and use the words of
    the split in turn, so that a test set of 500 has each test word once.

    Args:
        split: "train", "validation" or "test".
        size: number of items.
        seed: of the random images.
        height: of the images, in pixels.

    Raises:
        OptionError: there is no split of that name.
        IndexError: `item` gets an index past the size.

    Example:
        >>> image, text = SyntheticWords("test", size=500, seed=0, height=32).item(epoch=0, index=0)
        >>> image.shape[0], image.dtype.name, text in split_words("test")
        (32, 'uint8', True)
    """

    def __init__(self, split: Split, size: int, seed: int, height: int = 32) -> None:
        self.words = split_words(split)
        self.split, self.size, self.seed, self.height = split, size, seed, height

    def __len__(self) -> int:
        return self.size

    def item(self, epoch: int, index: int) -> tuple[np.ndarray, str]:
        """The image, uint8 (height, width), and its text."""
        if not 0 <= index < self.size:
            raise IndexError(f"index: found {index}, expected 0 to {self.size - 1}")
        text, rng = self._draw(epoch, index)
        return render_word(text, rng, self.height), text

    def text(self, epoch: int, index: int) -> str:
        """An item's text without its image."""
        return self._draw(epoch, index)[0]

    def _draw(self, epoch: int, index: int) -> tuple[str, np.random.Generator]:
        train = self.split == "train"
        rng = np.random.default_rng([self.seed, SPLITS.index(self.split), epoch if train else 0, index])
        return self.words[rng.integers(len(self.words)) if train else index % len(self.words)], rng


def render_word(text: str, rng: np.random.Generator, height: int = 32) -> np.ndarray:
    """Render a text in a random font, size, position and rotation, dark on light, with noise.

    Args:
        text: to render.
        rng: random generator.
        height: of the image, in pixels.

    Returns:
        uint8 (height, width).

    Example:
        >>> import numpy as np
        >>> from seqloss.data import render_word
        >>> image = render_word("law", np.random.default_rng(0), height=48)
        >>> image.shape[0], image.dtype.name
        (48, 'uint8')
    """
    ink = fit_ink(rotate_ink(draw_ink(text, rng, height), rng, height), height - 2 * EDGE)
    cover = place_ink(ink, text, rng, height)  # (height, width), 0 paper to 1 ink
    return add_noise(blur_ink(cover, rng), rng)


def draw_ink(text: str, rng: np.random.Generator, height: int) -> Image.Image:
    """The text as a mask, 255 for full ink."""
    choices = find_font_files()
    size = max(4, round(SIZES[rng.integers(len(SIZES))] * height / 32))
    face = load_font(choices[rng.integers(len(choices))], size)
    mask, _ = face.getmask2(text, mode="L")
    return Image.frombytes("L", mask.size, bytes(mask)) if mask.size[0] else Image.new("L", (1, 1))


def rotate_ink(ink: Image.Image, rng: np.random.Generator, height: int) -> Image.Image:
    """The ink rotated by up to 3 degrees, less for long words, which would leave the line."""
    room = max(0, height - 2 * EDGE - ink.height)
    limit = min(TURN, math.atan2(room, ink.width))
    angle = math.degrees(limit * rng.uniform(-1, 1))
    turned = ink.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    return turned.crop(turned.getbbox())


def fit_ink(ink: Image.Image, height: int) -> Image.Image:
    """The ink, scaled down if it is higher than the line."""
    if ink.height <= height:
        return ink
    return ink.resize((max(1, ink.width * height // ink.height), height), Image.Resampling.BILINEAR)


def place_ink(ink: Image.Image, text: str, rng: np.random.Generator, height: int) -> np.ndarray:
    """The ink at a random position, in a line that has enough frames for its characters: (height, width)."""
    unit = height / 32
    before, after = rng.integers(EDGE, max(EDGE + 1, round(8 * unit)), size=2, endpoint=True)
    least = round(6 * unit * frames_needed(text))
    width = max(least, int(before + ink.width + after))
    cover = np.zeros((height, width), np.float32)
    left = int(rng.integers(before, width - ink.width - after, endpoint=True))
    top = int(rng.integers(EDGE, height - EDGE - ink.height, endpoint=True))
    cover[top : top + ink.height, left : left + ink.width] = np.asarray(ink)
    return cover / np.float32(255)


def blur_ink(cover: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image blurred with the kernel (w, 1 - 2w, w) along both axes, w up to 0.2."""
    w = np.float32(rng.uniform(0, 0.2))
    for axis in (cover, cover.T):
        middle = axis[1:-1] * (1 - 2 * w) + (axis[:-2] + axis[2:]) * w
        axis[1:-1] = middle
    return cover


def add_noise(cover: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Dark ink on a light background with a gradient, noise and specks: uint8 (height, width)."""
    paper, ink = rng.uniform(175, 250), rng.uniform(0, 90)
    left, right = rng.uniform(-12, 12, 2)
    shade = np.linspace(left, right, cover.shape[1], dtype=np.float32)
    grain = rng.standard_normal(cover.shape, np.float32) * np.float32(rng.uniform(0, 9))
    page = np.float32(paper) + (np.float32(ink - paper)) * cover + shade + grain
    specks = rng.integers(0, cover.size, rng.integers(0, max(1, cover.size // 100), endpoint=True))
    page.reshape(-1)[specks] += rng.uniform(-90, 90, specks.size).astype(np.float32)
    return np.clip(np.rint(page), 0, 255).astype(np.uint8)
