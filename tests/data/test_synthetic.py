"""Synthetic words: the same bits from the same numbers, letters whole, test words never trained on."""

from __future__ import annotations

import re
import subprocess
import sys
from ast import literal_eval
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw

from seqloss.data import fonts
from seqloss.data.fonts import find_font_files, load_font
from seqloss.data.synthetic import SIZES, SyntheticWords, draw_ink, fit_ink, place_ink, render_word, rotate_ink
from seqloss.data.words import load_words, split_words
from seqloss.errors import OptionError


def test_words_are_3_to_10_lower_case_letters_sorted_and_distinct() -> None:
    assert all(re.fullmatch("[a-z]{3,10}", word) for word in load_words())
    assert list(load_words()) == sorted(set(load_words()))
    assert len(load_words()) == 2617


def test_each_word_is_in_one_split() -> None:
    train, validation, test = map(split_words, ("train", "validation", "test"))
    assert (len(validation), len(test)) == (150, 500)
    assert sorted(train + validation + test) == list(load_words())


def test_the_splits_are_these_words_for_good() -> None:
    assert split_words("test")[:5] == ("emphasize", "must", "curses", "one", "aggregate")


def test_every_letter_occurs_in_training() -> None:
    assert len(set("".join(split_words("train")))) == 26


def test_an_unknown_split_is_reported() -> None:
    with pytest.raises(OptionError, match="split: found 'dev', expected one of 'train'"):
        SyntheticWords("dev", 1, 0)  # type: ignore[arg-type]


def test_the_test_set_has_each_test_word_once() -> None:
    synthetic = SyntheticWords("test", size=500, seed=3)
    assert sorted(synthetic.item(0, k)[1] for k in range(len(synthetic))) == sorted(split_words("test"))


def test_training_renders_training_words_alone() -> None:
    synthetic = SyntheticWords("train", size=300, seed=3)
    assert {synthetic.item(0, k)[1] for k in range(300)} <= set(split_words("train"))


@pytest.mark.parametrize(("split", "again"), [("train", False), ("validation", True), ("test", True)])
def test_only_training_changes_with_the_epoch(split, again: bool) -> None:
    synthetic = SyntheticWords(split, size=5, seed=0)
    first, second = synthetic.item(0, 4)[0], synthetic.item(1, 4)[0]
    assert np.array_equal(first, second) == again


def test_the_seed_changes_the_image() -> None:
    first, second = (SyntheticWords("test", 5, seed).item(0, 0)[0] for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_another_process_in_another_order_renders_the_same_bits() -> None:
    code = (
        "from hashlib import sha256; from seqloss.data.synthetic import SyntheticWords\n"
        "p = SyntheticWords('train', 9, 7)\n"
        "print([sha256(p.item(2, k)[0].tobytes()).hexdigest() for k in reversed(range(9))])"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    synthetic = SyntheticWords("train", 9, 7)
    here = [sha256(synthetic.item(2, k)[0].tobytes()).hexdigest() for k in range(9)]
    assert literal_eval(other)[::-1] == here


def test_an_index_past_the_size_is_reported() -> None:
    with pytest.raises(IndexError, match="index: found 5, expected 0 to 4"):
        SyntheticWords("train", size=5, seed=0).item(0, 5)


@pytest.mark.parametrize("height", [24, 32, 48])
def test_images_have_the_requested_height(height: int) -> None:
    image, _ = SyntheticWords("train", size=1, seed=0, height=height).item(0, 0)
    assert (image.shape[0], image.dtype) == (height, np.uint8)


@pytest.mark.parametrize("text", ["ill", "illlli", "tttttttt"])
def test_narrow_letters_have_6_pixels_each_and_6_for_each_repeat(text: str) -> None:
    least = 6 * (len(text) + sum(a == b for a, b in pairwise(text)))
    assert min(render_word(text, np.random.default_rng(seed)).shape[1] for seed in range(100)) >= least


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("face", find_font_files(), ids=lambda face: face.stem)
def test_no_face_cuts_a_letter_off(face, size: int) -> None:
    page = Image.new("L", (200, 80))
    ImageDraw.Draw(page).text((30, 20), "fjgypQ", 255, load_font(face, size))
    mask, _ = load_font(face, size).getmask2("fjgypQ", mode="L")
    whole = np.asarray(page.crop(page.getbbox()), int)
    assert np.frombuffer(bytes(mask), np.uint8).sum() == whole.sum()


@pytest.mark.parametrize("text", ["fly", "judgement", "wwwwwwwwwwwwww"])
def test_all_ink_is_on_the_line_with_paper_around_it(text: str) -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        ink = fit_ink(rotate_ink(draw_ink(text, rng, 32), rng, 32), 30)
        cover = place_ink(ink, text, rng, 32)
        assert cover.sum() * 255 == pytest.approx(np.asarray(ink, float).sum(), rel=1e-5)
        border = np.concatenate([cover[0], cover[-1], cover[:, 0], cover[:, -1]])
        assert border.max() == 0


def test_turning_keeps_the_ink() -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        ink = draw_ink("judgement", rng, 32)
        after = np.asarray(rotate_ink(ink, rng, 32), float).sum()
        assert after == pytest.approx(np.asarray(ink, float).sum(), rel=0.03)


def test_ink_is_darker_than_paper() -> None:
    for seed in range(100):
        image = render_word("minimum", np.random.default_rng(seed)).astype(float)
        assert np.percentile(image, 2) < np.median(np.sort(image.ravel())[-image.size // 3 :]) - 40


def test_missing_fonts_raise_with_the_install_command(monkeypatch) -> None:
    monkeypatch.setattr(fonts, "PACKAGES", ("font_not_there",))
    find_font_files.cache_clear()
    with pytest.raises(ImportError, match=r"needs font-not-there, .*: pip install 'seqloss\[train\]'"):
        find_font_files()
    find_font_files.cache_clear()


def test_the_public_names_are_all_there() -> None:
    import seqloss.data

    assert all(callable(getattr(seqloss.data, name)) for name in seqloss.data.__all__)


def test_importing_the_package_does_not_import_pillow() -> None:
    code = "import sys, seqloss.data.vocabulary; print('PIL' in sys.modules, 'numpy' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert answer.split() == ["False", "False"]
