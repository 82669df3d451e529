"""What is read of sounds of each format, rate and number of channels."""

from __future__ import annotations

import csv
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from seqloss.data.paths import SOUND_SUFFIXES
from seqloss.data.sounds import SoundInfo, inspect_sound, read_sound, reading, sound_blocks
from seqloss.errors import DataError

from .sounds import RATE, as_int16, save, sphere, tone, wav

NOISE = (0.1 * np.random.default_rng(0).normal(size=(12_000, 2))).clip(-0.9, 0.9).astype(np.float32)
LOSSLESS = [("wav", "PCM_16", 15), ("wav", "PCM_24", 23), ("wav", "PCM_U8", 7), ("flac", "PCM_16", 15)]
FORMATS = [("wav", "PCM_16"), ("flac", "PCM_16"), ("ogg", "VORBIS"), ("ogg", "OPUS"), ("mp3", None), ("sph", "PCM_16")]


def write(path: Path, samples: np.ndarray, subtype: str | None, rate: int = RATE) -> Path:
    formats = {".mp3": "MP3", ".ogg": "OGG", ".sph": "NIST"}
    return save(path, samples, rate, subtype=subtype, format=formats.get(path.suffix))


@pytest.mark.parametrize(("suffix", "subtype", "bits"), LOSSLESS)
def test_integers_are_divided_by_their_full_scale(tmp_path, suffix: str, subtype: str, bits: int) -> None:
    written = np.round(NOISE[:, 0] * 2**bits).astype(np.float64) / 2**bits
    path = save(tmp_path / f"1.{suffix}", written, subtype=subtype)
    np.testing.assert_array_equal(read_sound(path), written.astype(np.float32))


def test_float_samples_are_read_as_they_are(tmp_path) -> None:
    path = save(tmp_path / "1.wav", NOISE[:, 0] * 2, subtype="FLOAT")
    np.testing.assert_array_equal(read_sound(path), NOISE[:, 0] * 2)


@pytest.mark.parametrize(("suffix", "subtype"), FORMATS)
def test_each_format_gives_the_sound_that_was_written(tmp_path, suffix: str, subtype: str | None) -> None:
    sound = tone()
    read = read_sound(write(tmp_path / f"1.{suffix}", sound, subtype))
    assert (read.dtype, read.shape) == (np.float32, sound.shape)
    assert np.abs(read - sound)[1000:-1000].max() < 0.03


@pytest.mark.parametrize(("suffix", "subtype"), FORMATS)
def test_a_sounds_rate_channels_and_frames_are_told(tmp_path, suffix: str, subtype: str | None) -> None:
    info = inspect_sound(write(tmp_path / f"1.{suffix}", NOISE, subtype))
    assert info == SoundInfo(RATE, 2, 12_000)
    assert info.seconds == 0.75


@pytest.mark.parametrize("order", ["<", ">"])
def test_sphere_is_read_in_both_byte_orders(tmp_path, order: str) -> None:
    path = sphere(tmp_path / "SI836.WAV", NOISE[:, 0], order=order)
    np.testing.assert_array_equal(read_sound(path), as_int16(NOISE[:, 0]).astype(np.float32) / 32768)


def test_every_sound_of_the_timit_sample_has_the_samples_of_its_manifest(shared_data: Path) -> None:
    folder = shared_data / "timit_sample"
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        expected = {row["path"]: int(row["num_samples"]) for row in csv.DictReader(file)}
    found = {name: len(read_sound(folder / name)) for name in expected}
    assert found == expected
    starts = {(folder / name).read_bytes()[:4] for name in expected}
    assert starts == {b"RIFF", b"NIST"}


@pytest.mark.parametrize("suffix", sorted(SOUND_SUFFIXES | {".raw", ".WAV", ""}))
def test_the_format_follows_from_the_content_and_not_from_the_suffix(tmp_path, suffix: str) -> None:
    path = save(tmp_path / f"1{suffix}", NOISE[:, 0], format="FLAC", subtype="PCM_16")
    assert inspect_sound(path).frames == 12_000


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_another_rate_is_resampled(tmp_path, rate: int) -> None:
    path = save(tmp_path / "1.wav", tone(1.0, rate), rate, subtype="FLOAT")
    read = read_sound(path)
    assert abs(len(read) - RATE) <= 1
    np.testing.assert_allclose(read[2000:14000], tone()[2000:14000], atol=1e-4)


def test_a_tone_above_half_the_new_rate_is_removed_not_folded(tmp_path) -> None:
    path = save(tmp_path / "1.wav", tone(1.0, 48_000, 10_000.0), 48_000, subtype="FLOAT")
    assert np.abs(read_sound(path)[1000:-1000]).max() < 1e-4


def test_several_channels_are_averaged(tmp_path) -> None:
    path = save(tmp_path / "1.wav", NOISE, subtype="FLOAT")
    np.testing.assert_allclose(read_sound(path), NOISE.mean(1), atol=1e-7)


@pytest.mark.parametrize("rate", [RATE, 8_000])
@pytest.mark.parametrize(("suffix", "subtype"), FORMATS)
def test_blocks_add_up_to_the_bits_of_the_whole(tmp_path, suffix: str, subtype: str | None, rate: int) -> None:
    path = write(tmp_path / f"1.{suffix}", np.tile(NOISE, (3, 1)), subtype)
    blocks = list(sound_blocks(path, rate))
    assert len(blocks) > 3
    np.testing.assert_array_equal(np.concatenate(blocks), read_sound(path, rate))


@pytest.mark.parametrize("block", [1000, 4096, 30_000])
@pytest.mark.parametrize(("suffix", "subtype"), FORMATS)
def test_the_size_of_the_blocks_changes_no_bit(
    tmp_path, monkeypatch: pytest.MonkeyPatch, suffix: str, subtype: str | None, block: int
) -> None:
    path = write(tmp_path / f"1.{suffix}", np.tile(NOISE, (3, 1)), subtype)
    expected = read_sound(path, 8_000)
    monkeypatch.setattr(reading, "BLOCK", block)
    np.testing.assert_array_equal(read_sound(path, 8_000), expected)


def test_a_long_sound_read_in_blocks_takes_the_memory_of_a_block(tmp_path) -> None:
    path = save(tmp_path / "1.wav", np.tile(NOISE, (100, 1)), 48_000, subtype="PCM_16")
    count = sum(len(block) for block in sound_blocks(path))
    tracemalloc.start()
    assert sum(len(block) for block in sound_blocks(path)) == count == 400_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400_000  # bytes; decoded as a whole, it would be 9,600,000


def test_a_sound_too_long_to_be_read_as_a_whole_is_refused(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "1.wav", NOISE)
    monkeypatch.setattr(reading, "MAX_SECONDS", 0.5)
    with pytest.raises(DataError, match=r"^long sound: more than 0\.5 s; cut it into sentences, or read it in blocks$"):
        read_sound(path)
    assert sum(len(block) for block in sound_blocks(path)) == 12_000


def test_a_chunk_behind_the_sound_is_not_read_as_sound(tmp_path) -> None:
    path = wav(tmp_path / "1.wav", NOISE[:, 0], tail=b"LIST" + (8000).to_bytes(4, "little") + bytes(8000))
    assert inspect_sound(path).frames == 12_000


def test_a_flac_from_a_pipe_which_has_no_count_is_read_to_its_end(tmp_path) -> None:
    path = save(tmp_path / "1.flac", NOISE[:, 0])
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the count takes 36 bits
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert inspect_sound(path).frames == 12_000


def test_files_stay_open_no_longer_than_they_are_read(tmp_path) -> None:
    path = save(tmp_path / "1.wav", NOISE)
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("no /proc to look at")
    before = len(list(folder.iterdir()))
    for _ in range(5):
        read_sound(path)
        next(iter(sound_blocks(path)))  # not read to its end
    broken = tmp_path / "2.wav"
    broken.write_bytes(b"RIFF\0\0\0\0WAVE" + bytes(40))
    for _ in range(5):
        with pytest.raises(DataError):
            read_sound(broken)
    assert len(list(folder.iterdir())) == before
