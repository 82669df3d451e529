"""How each kind of sound that cannot be used is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seqloss.data.sounds import inspect_sound, read_sound
from seqloss.errors import DataError

from .sounds import RATE, cut, save, sphere, tone, wav

NOISE = (0.1 * np.random.default_rng(0).normal(size=32_000)).clip(-0.9, 0.9).astype(np.float32)
SPEECHLIKE = (0.1 * np.random.default_rng(1).laplace(size=32_000)).astype(np.float32)
"""Few samples near the largest, as in speech."""


def reject(path: Path, message: str) -> None:
    """Inspecting and reading report the same."""
    for function in (inspect_sound, read_sound):
        with pytest.raises(DataError, match=message):
            function(path)


def test_a_missing_file_is_reported(tmp_path) -> None:
    reject(tmp_path / "1.wav", r"^no such file$")


def test_a_folder_in_a_sounds_place_is_reported(tmp_path) -> None:
    reject(tmp_path, r"^not a sound but a folder or a device$")


def test_a_file_that_is_no_sound_is_reported_with_its_first_bytes(tmp_path) -> None:
    (tmp_path / "1.wav").write_bytes(b"<html>not found</html>")
    reject(
        tmp_path / "1.wav", r"^not a sound that can be read \(it starts with b'<html>not found<'\); expected WAV, FLAC"
    )


@pytest.mark.parametrize("kind", ["AIFF", "AU", "CAF", "VOC", "W64"])
def test_a_format_that_is_not_listed_never_reaches_the_decoder(
    tmp_path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    save(tmp_path / "1.wav", NOISE, format=kind)
    monkeypatch.setattr("seqloss.data.sounds.reading.UnseekableSoundFile", None)
    reject(tmp_path / "1.wav", r"^not a sound that can be read")


def test_an_empty_file_is_reported(tmp_path) -> None:
    (tmp_path / "1.wav").write_bytes(b"")
    reject(tmp_path / "1.wav", r"^empty: the file has 0 bytes; copy it again$")


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
def test_a_sound_of_no_samples_is_reported(tmp_path, suffix: str) -> None:
    reject(
        save(tmp_path / f"1.{suffix}", NOISE[:0]), r"^empty: the sound has 0 samples; record it again, or remove it$"
    )


@pytest.mark.parametrize(("kind", "suffix", "ends"), [
    ("WAV", "wav", "1.2"), ("WAVEX", "wav", "1.2"), ("RF64", "wav", "1.2"), ("FLAC", "flac", "1.0"),
    ("NIST", "wav", "1.2"), ("MP3", "mp3", r"1\.\d"),
])  # fmt: skip
def test_a_truncated_sound_is_reported_with_where_it_ends(tmp_path, kind: str, suffix: str, ends: str) -> None:
    path = cut(save(tmp_path / f"1.{suffix}", NOISE, format=kind))
    reject(path, rf"^truncated: ends after {ends} of 2\.0 s.*; copy it again$")


def test_a_truncated_big_endian_wav_is_reported(tmp_path) -> None:
    path = cut(save(tmp_path / "1.wav", NOISE, endian="BIG"))
    assert path.read_bytes()[:4] == b"RIFX"
    reject(path, r"^truncated: ends after 1\.2 of 2\.0 s; copy it again$")


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.999])
def test_a_truncated_ogg_is_reported(tmp_path, subtype: str, share: float) -> None:
    path = cut(save(tmp_path / "1.ogg", NOISE, subtype=subtype), share)
    reject(path, r"^truncated: the last Ogg page is missing or incomplete; copy it again$")


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_without_its_last_page_is_reported(tmp_path, subtype: str) -> None:
    path = save(tmp_path / "1.ogg", np.tile(NOISE, 4), subtype=subtype)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"OggS")])
    reject(path, r"^truncated: the last Ogg page is missing or incomplete; copy it again$")


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "sph"])
@pytest.mark.parametrize("size", [1, 3, 12, 20, 40, 60, 200])
def test_the_first_bytes_alone_are_never_taken_for_a_sound(tmp_path, suffix: str, size: int) -> None:
    kind = {"sph": "NIST"}.get(suffix)
    path = save(tmp_path / f"1.{suffix}", NOISE, format=kind)
    path.write_bytes(path.read_bytes()[:size])
    reject(path, r"^(truncated|broken|not a sound|empty)")


def test_a_damaged_flac_is_reported(tmp_path) -> None:
    path = save(tmp_path / "1.flac", NOISE)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    reject(path, r"^truncated: ends after [01]\.\d of 2\.0 s")


@pytest.mark.parametrize("kind", ["WAV", "RF64", "FLAC", "OGG", "NIST"])  # MP3: its decoder prints
def test_whatever_bytes_are_damaged_it_is_a_sound_or_a_data_error(tmp_path, kind: str) -> None:
    path, rng = save(tmp_path / "1.wav", NOISE[:8000], format=kind), np.random.default_rng(0)
    intact, refused = path.read_bytes(), 0
    for _ in range(100):
        content = bytearray(intact)
        for place in rng.integers(min(len(content), 1200), size=3):
            content[place] = rng.integers(256)
        path.write_bytes(content)
        try:
            read_sound(path, 8_000)
        except DataError:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize("package", ["soundfile", "soxr"])
def test_without_the_extra_the_error_names_it(package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from seqloss.data import read_sound"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"needs {package}, which is not installed: pip install 'seqloss[speech]'." in done.stderr


@pytest.mark.parametrize("samples", [np.zeros(8000), np.full(8000, 0.25), 3e-5 * NOISE])
def test_a_silent_sound_is_reported(tmp_path, samples: np.ndarray) -> None:
    path = save(tmp_path / "1.wav", samples, subtype="FLOAT")
    reject(path, r"^silent: all samples are within .* to .*, full scale is -1 to 1; remove it$")


def test_a_faint_sound_is_not_silent(tmp_path) -> None:
    assert inspect_sound(save(tmp_path / "1.wav", tone(level=2e-4))).frames == RATE


def test_channels_that_cancel_are_reported(tmp_path) -> None:
    path = save(tmp_path / "1.wav", np.stack([NOISE, -NOISE], 1), subtype="FLOAT")
    reject(path, r"^silent: its 2 channels cancel each other when they are averaged; keep one channel of it$")


def clipped(share: float) -> np.ndarray:
    """A sound with this share of its samples at full scale."""
    bound = np.quantile(np.abs(SPEECHLIKE), 1 - share)
    return (SPEECHLIKE / bound).clip(-1, 32767 / 32768)


@pytest.mark.parametrize(("kind", "subtype"), [
    ("WAV", "PCM_16"), ("WAV", "PCM_U8"), ("WAV", "FLOAT"), ("WAV", "PCM_24"), ("WAV", "ULAW"), ("WAV", "ALAW"),
    ("FLAC", "PCM_16"), ("NIST", "PCM_16"),
])  # fmt: skip
def test_a_sound_of_which_more_than_a_tenth_is_clipped_is_reported(tmp_path, kind: str, subtype: str) -> None:
    path = save(tmp_path / "1.wav", clipped(0.14), format=kind, subtype=subtype)
    reject(path, r"^clipped: 1[45]% of the samples are at full scale, at most 10%; record it again with less gain$")
    inspect_sound(save(tmp_path / "2.wav", clipped(0.06), format=kind, subtype=subtype))


@pytest.mark.parametrize("kind", [("OGG", "VORBIS"), ("MP3", None)])
def test_clipping_is_found_behind_a_lossy_format(tmp_path, shared_data: Path, kind: tuple[str, str | None]) -> None:
    speech = read_sound(shared_data / "timit_sample/dr4-falr0/sx65.wav")
    for share, name in ((0.15, "loud"), (0.05, "good")):
        bound = np.quantile(np.abs(speech), 1 - share)
        save(tmp_path / name, (speech / bound).clip(-1, 32767 / 32768), format=kind[0], subtype=kind[1])
    reject(tmp_path / "loud", r"^clipped: 1[3-7]% of the samples")
    assert inspect_sound(tmp_path / "good").frames == len(speech)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinite_samples_are_reported(tmp_path, value: float) -> None:
    samples = NOISE.copy()
    samples[20_000] = value
    path = save(tmp_path / "1.wav", samples, subtype="FLOAT")
    reject(path, r"^the sound has NaN or infinite samples; write it again as 16-bit PCM$")


def test_integers_stored_as_floats_are_reported(tmp_path) -> None:
    path = save(tmp_path / "1.wav", np.round(20_000 * tone(level=1.0)), subtype="FLOAT")
    reject(path, r"^unscaled: float samples up to 20,000, expected -1 to 1; divide them by 32768, or write")


@pytest.mark.parametrize("claimed", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF024])
def test_a_wav_from_a_pipe_claims_hours(tmp_path, claimed: int) -> None:
    message = rf"^the header claims {claimed / 32_000 / 3600:.1f} hours of sound, the file holds 2\.0 s, as when a prog"
    reject(wav(tmp_path / "1.wav", NOISE, claimed=claimed), message)


def test_a_wav_whose_header_was_never_completed_claims_no_sound(tmp_path) -> None:
    reject(wav(tmp_path / "1.wav", NOISE, claimed=0), r"^the header claims 0\.0 s of sound, the file holds 2\.0 s")


def test_a_wav_that_claims_less_than_it_holds_is_reported(tmp_path) -> None:
    reject(wav(tmp_path / "1.wav", NOISE, claimed=32_000), r"^the header claims 1\.0 s of sound, the file holds 2\.0 s")


@pytest.mark.parametrize("count", [0, 16_000])
def test_a_sphere_file_that_claims_less_than_it_holds_is_reported(tmp_path, count: int) -> None:
    path = sphere(tmp_path / "1.wav", NOISE, sample_count=f"-i {count}")
    reject(path, rf"^the header claims {count / RATE:.1f} s of sound, the file holds 2\.0 s")


def test_a_truncated_sphere_file_is_reported(tmp_path) -> None:
    path = sphere(tmp_path / "1.wav", NOISE, sample_count="-i 64000")
    reject(path, r"^truncated: ends after 2\.0 of 4\.0 s; copy it again$")


@pytest.mark.parametrize("rate", [0, 1, 4_000_000_000])
def test_a_wav_of_an_impossible_rate_is_reported(tmp_path, rate: int) -> None:
    path = wav(tmp_path / "1.wav", NOISE, rate=rate, bytes_per_second=32_000)
    reject(
        path, rf"^the header claims a sampling rate of {rate:,} Hz, expected 2,000 to 384,000; write the file again$"
    )


def test_a_sphere_file_of_an_impossible_rate_is_reported(tmp_path) -> None:
    reject(sphere(tmp_path / "1.wav", NOISE, sample_rate="-i 0"), r"^the header claims a sampling rate of 0 Hz")


def test_a_flac_of_an_impossible_rate_is_reported(tmp_path) -> None:
    reject(save(tmp_path / "1.flac", NOISE, 1500), r"^the header claims a sampling rate of 1,500 Hz")


def test_a_wav_whose_rates_contradict_each_other_is_reported(tmp_path) -> None:
    path = wav(tmp_path / "1.wav", NOISE, rate=44_100, bytes_per_second=32_000)
    reject(
        path, r"^the header contradicts itself: 44,100 Hz with 2 bytes each are 88,200 bytes per second, it says 32,000"
    )


def test_a_wav_whose_samples_do_not_fit_their_block_is_reported(tmp_path) -> None:
    reject(wav(tmp_path / "1.wav", NOISE, block=4), r"^the header contradicts itself: 4 bytes for 1 channel of 16 bits")


@pytest.mark.parametrize(
    "coding", ["pcm,embedded-shorten-v2.00", "ulaw,embedded-shorten-v2.00", "pcm,embedded-wavpack"]
)
def test_compressed_sphere_names_the_program_that_decodes_it(tmp_path, coding: str) -> None:
    path = sphere(tmp_path / "1.wav", NOISE, sample_coding=f"-s{len(coding)} {coding}")
    reject(path, rf"^compressed SPHERE \(sample_coding {coding}\), expected pcm.*sph2pipe -f wav OLD\.sph NEW\.wav$")


@pytest.mark.parametrize("size", [b"   junk\n", b"      8\n", b"99999999"])
def test_a_sphere_header_of_no_size_is_reported(tmp_path, size: bytes) -> None:
    path = sphere(tmp_path / "1.wav", NOISE)
    path.write_bytes(b"NIST_1A\n" + size + path.read_bytes()[16:])
    reject(path, r"^the SPHERE header (has no size in its second line|claims \d+ bytes, expected 1024)")


def test_a_sphere_header_without_a_rate_is_reported(tmp_path) -> None:
    reject(
        sphere(tmp_path / "1.wav", NOISE, sample_rate=None), r"^the SPHERE header has no usable number in 'sample_rate'"
    )
