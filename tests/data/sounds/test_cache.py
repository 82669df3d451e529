"""Resampled sounds on disk: the same bits, each made once, safe with several processes, and never a reason to fail."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from seqloss.data.sounds import SoundCache, SoundInfo, cache, default_cache_folder, inspect_sound, read_sound
from seqloss.errors import DataError

from .sounds import save, tone

SOUND = (0.1 * np.random.default_rng(0).normal(size=(8_000, 2))).clip(-0.9, 0.9).astype(np.float32)
"""A second at 8 kHz, in two channels."""


def entries(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return save(tmp_path / "1.wav", SOUND, 8_000)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The sounds that were decoded, in order."""
    seen: list[Path] = []
    read = cache.read_sound_and_info
    monkeypatch.setattr(cache, "read_sound_and_info", lambda path, rate: (seen.append(path), read(path, rate))[1])
    return seen


def test_a_cached_sound_has_the_bits_of_the_uncached_one(sound: Path, kept: Path) -> None:
    for _ in range(2):
        found = SoundCache(16_000, kept).read(sound)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, read_sound(sound))


def test_a_sound_is_decoded_once(sound: Path, kept: Path, decoded: list[Path]) -> None:
    for _ in range(3):
        SoundCache(16_000, kept).read(sound)
    assert decoded == [sound]


def test_inspecting_keeps_the_sound_and_tells_what_is_in_its_file(sound: Path, kept: Path, decoded: list[Path]) -> None:
    for _ in range(2):
        assert SoundCache(16_000, kept).inspect(sound) == inspect_sound(sound) == SoundInfo(8_000, 2, 8_000)
    SoundCache(16_000, kept).read(sound)
    assert decoded == [sound]


def test_a_sound_of_the_requested_rate_is_not_kept(sound: Path, kept: Path) -> None:
    np.testing.assert_array_equal(SoundCache(8_000, kept).read(sound), read_sound(sound, 8_000))
    assert entries(kept) == []


def test_each_rate_has_its_own_entry(sound: Path, kept: Path) -> None:
    assert [len(SoundCache(rate, kept).read(sound)) for rate in (16_000, 11_025, 16_000)] == [16_000, 11_025, 16_000]
    assert len(entries(kept)) == 2


def test_a_sound_that_changed_is_read_again(sound: Path, kept: Path) -> None:
    SoundCache(16_000, kept).read(sound)
    save(sound, SOUND[::-1], 8_000)
    os.utime(sound, ns=(0, 1))
    np.testing.assert_array_equal(SoundCache(16_000, kept).read(sound), read_sound(sound))


def test_a_sound_that_changes_while_it_is_read_is_not_kept(
    sound: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = cache.read_sound_and_info

    def read_and_touch(path: Path, rate: int) -> tuple[np.ndarray, SoundInfo]:
        found = read(path, rate)
        os.utime(path, ns=(0, 1))
        return found

    monkeypatch.setattr(cache, "read_sound_and_info", read_and_touch)
    SoundCache(16_000, kept).read(sound)
    assert entries(kept) == []


@pytest.mark.parametrize("size", [0, 10, 32, 5_000])
def test_an_incomplete_entry_is_made_again(sound: Path, kept: Path, size: int) -> None:
    SoundCache(16_000, kept).read(sound)
    (entry,) = entries(kept)
    entry.write_bytes(entry.read_bytes()[:size])
    np.testing.assert_array_equal(SoundCache(16_000, kept).read(sound), read_sound(sound))
    assert entry.stat().st_size > 64_000


@pytest.mark.parametrize("place", [3, 9, 14, 25, 40_000])
def test_an_entry_with_a_damaged_byte_is_made_again(sound: Path, kept: Path, place: int) -> None:
    SoundCache(16_000, kept).read(sound)
    (entry,) = entries(kept)
    intact = entry.read_bytes()
    content = bytearray(intact)
    content[place] ^= 255
    entry.write_bytes(content)
    samples, info = SoundCache(16_000, kept).read_with_info(sound)
    np.testing.assert_array_equal(samples, read_sound(sound))
    assert info == SoundInfo(8_000, 2, 8_000)
    assert entry.read_bytes() == intact


def test_a_bad_sound_is_reported_and_not_kept(tmp_path: Path, kept: Path) -> None:
    path = save(tmp_path / "1.wav", np.zeros(8_000), 8_000)
    for _ in range(2):
        with pytest.raises(DataError, match=r"^silent"):
            SoundCache(16_000, kept).inspect(path)
    with pytest.raises(DataError, match=r"^no such file"):
        SoundCache(16_000, kept).inspect(tmp_path / "2.wav")
    assert entries(kept) == []


def test_without_a_folder_nothing_is_kept(sound: Path) -> None:
    np.testing.assert_array_equal(SoundCache(16_000, None).read(sound), read_sound(sound))


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(sound: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    np.testing.assert_array_equal(SoundCache(16_000, tmp_path / "file").read(sound), read_sound(sound))


def test_a_disk_with_little_space_is_left_as_it_is(sound: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2**40, 2**40, cache.KEEP_FREE))
    np.testing.assert_array_equal(SoundCache(16_000, kept).read(sound), read_sound(sound))
    assert entries(kept) == []


def test_processes_share_a_folder(tmp_path: Path, kept: Path) -> None:
    sounds = [save(tmp_path / f"{k}.wav", tone(0.5, 8_000, 200 + 50 * k), 8_000) for k in range(12)]
    expected = [read_sound(path) for path in sounds]
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        for one, other in zip(pool.map(SoundCache(16_000, kept).read, sounds * 6), expected * 6, strict=True):
            np.testing.assert_array_equal(one, other)
    assert sorted(path.suffix for path in entries(kept)) == [".f32"] * 12


def test_the_size_of_the_cache_is_told_before_and_after(sound: Path, kept: Path) -> None:
    sounds = SoundCache(16_000, kept)
    assert sounds.describe_size() == "no resampled sounds are kept"
    assert sounds.bytes_for([inspect_sound(sound), SoundInfo(16_000, 1, 5_000)]) == 64_000
    sounds.read(sound)
    expected = f"resampled sounds kept: 1, 0.0 GB in {kept}; the folder can be deleted at any time"
    assert sounds.describe_size() == expected
    assert entries(kept)[0].stat().st_size - 64_000 < 100


def test_the_default_folder_is_beside_the_compiled_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SEQLOSS_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert default_cache_folder() == tmp_path / ".cache/seqloss/sounds"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert default_cache_folder() == tmp_path / "x/seqloss/sounds"
    monkeypatch.setenv("SEQLOSS_CACHE_DIR", str(tmp_path / "s"))
    assert default_cache_folder() == tmp_path / "s/sounds"
