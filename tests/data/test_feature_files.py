"""Features of other programs: what is read, and how each kind of file that cannot be used is told."""

from __future__ import annotations

import csv
import struct
from pathlib import Path

import numpy as np
import pytest

from seqloss.data.feature_files import inspect_features, read_features
from seqloss.errors import DataError

FEATURES = np.random.default_rng(0).normal(size=(40, 13)).astype(np.float32)


def sphinx(path: Path, values: np.ndarray, *, count: int | None = None, order: str = ">") -> Path:
    header = struct.pack(f"{order}i", values.size if count is None else count)
    path.write_bytes(header + values.astype(f"{order}f4").tobytes())
    return path


def saved(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def reject(path: Path, message: str, width: int | None = None) -> None:
    for function in (inspect_features, read_features):
        with pytest.raises(DataError, match=message):
            function(path, width)


def test_a_sphinx_file_is_read_frame_by_frame(tmp_path) -> None:
    path = sphinx(tmp_path / "1.mfc", FEATURES)
    found = read_features(path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, FEATURES)
    assert inspect_features(path) == (40, 13)


def test_a_sphinx_file_of_another_width_is_read_if_it_is_given(tmp_path) -> None:
    assert inspect_features(sphinx(tmp_path / "1.MFC", FEATURES), 26) == (20, 26)


def test_every_file_of_an4_has_the_frames_of_its_manifest(shared_data: Path) -> None:
    folder = shared_data / "an4_mfcc"
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        expected = {row["path"]: (int(row["num_frames"]), 13) for row in csv.DictReader(file)}
    assert {name: inspect_features(folder / name) for name in expected} == expected
    assert len(expected) == 948


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<f2"])
def test_a_npy_of_any_float_type_and_order_is_read(tmp_path, kind: str) -> None:
    for order in "CF":
        path = saved(tmp_path / "1.npy", np.asarray(FEATURES.astype(kind), order=order))
        found = read_features(path)
        assert found.dtype == np.float32
        assert found.flags.c_contiguous
        assert found.flags.writeable
        np.testing.assert_array_equal(found, FEATURES.astype(kind).astype(np.float32))


def test_a_missing_file_is_reported(tmp_path) -> None:
    reject(tmp_path / "1.npy", r"^no such file$")


def test_another_suffix_is_reported(tmp_path) -> None:
    path = tmp_path / "1.txt"
    path.write_text("1 2 3")
    reject(path, r"^not a file of features: suffix '\.txt', expected \.mfc, \.npy$")


def test_a_little_endian_sphinx_file_is_named_as_one(tmp_path) -> None:
    reject(sphinx(tmp_path / "1.mfc", FEATURES, order="<"), r"^little-endian: expected a big-endian count")


def test_an_htk_file_is_named_as_one(tmp_path) -> None:
    path = tmp_path / "1.mfc"
    path.write_bytes(struct.pack(">iihh", 40, 100_000, 52, 6) + FEATURES.astype(">f4").tobytes())
    reject(path, r"^an HTK file of 40 frames, expected a Sphinx file; save the array as \.npy$")


def test_a_truncated_sphinx_file_is_reported(tmp_path) -> None:
    path = sphinx(tmp_path / "1.mfc", FEATURES)
    path.write_bytes(path.read_bytes()[:-50])
    reject(path, r"^truncated: 507\.5 of 520 values; copy it again$")
    path.write_bytes(b"\0\0")
    reject(path, r"^truncated: 2 bytes, expected a count of 4 bytes and values; copy it again$")


@pytest.mark.parametrize("count", [100, -5, 2**31 - 1])
def test_a_count_that_lies_is_reported(tmp_path, count: int) -> None:
    path = sphinx(tmp_path / "1.mfc", FEATURES, count=count)
    reject(path, rf"^the header counts {count} values, the file holds 520; expected a Sphinx file: copy it again$")


def test_values_that_fill_no_frames_are_reported(tmp_path) -> None:
    reject(sphinx(tmp_path / "1.mfc", FEATURES), r"^520 values are not a multiple of 39 features per frame", 39)


def test_a_truncated_npy_is_reported(tmp_path) -> None:
    path = saved(tmp_path / "1.npy", FEATURES)
    for share in (0.01, 0.05, 0.6):
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share) or 1])
        reject(path, r"^broken or truncated \.npy file")


def test_a_npy_header_that_claims_gigabytes_allocates_nothing(tmp_path) -> None:
    path = saved(tmp_path / "1.npy", FEATURES)
    path.write_bytes(path.read_bytes().replace(b"(40, 13), }         ", b"(4000000000, 13), } "))
    assert b"4000000000" in path.read_bytes()
    reject(path, r"^broken or truncated \.npy file")


def test_pickled_objects_are_never_loaded(tmp_path) -> None:
    path = tmp_path / "1.npy"
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    reject(path, r"^broken or truncated \.npy file, or one of Python objects")


def test_an_archive_is_reported(tmp_path) -> None:
    np.savez(tmp_path / "1.npz", FEATURES)
    (tmp_path / "1.npz").rename(tmp_path / "1.npy")
    reject(tmp_path / "1.npy", r"^an archive of several arrays; save one array with numpy\.save$")


@pytest.mark.parametrize(("array", "found"), [
    (FEATURES[0], r"float32 \(13\)"), (FEATURES[None], r"float32 \(1 x 40 x 13\)"),
    (np.float32(1), r"float32 \(scalar\)"),
    (FEATURES.astype(np.int16), r"int16 \(40 x 13\)"), (FEATURES.astype(complex), r"complex128 \(40 x 13\)"),
])  # fmt: skip
def test_an_array_of_another_shape_or_type_is_reported(tmp_path, array: np.ndarray, found: str) -> None:
    reject(saved(tmp_path / "1.npy", array), rf"^array of {found}, expected floats of two axes \(frames, features\)$")


def test_another_number_of_features_is_reported_and_transposition_suspected(tmp_path) -> None:
    path = saved(tmp_path / "1.npy", FEATURES)
    reject(path, r"^13 features per frame, expected 80$", 80)
    reject(path, r"^13 features per frame, expected 40; it seems to be transposed: save array\.T$", 40)


@pytest.mark.parametrize("suffix", ["npy", "mfc"])
def test_nan_and_infinite_values_are_reported_with_their_frame(tmp_path, suffix: str) -> None:
    broken = FEATURES.copy()
    broken[17, 3], broken[30, 0] = np.nan, np.inf
    path = tmp_path / f"1.{suffix}"
    (saved if suffix == "npy" else sphinx)(path, broken)
    reject(path, r"^NaN or infinite values, the first in frame 17; compute the features again$")


@pytest.mark.parametrize("suffix", ["npy", "mfc"])
def test_a_file_without_frames_is_reported(tmp_path, suffix: str) -> None:
    path = tmp_path / f"1.{suffix}"
    (saved if suffix == "npy" else sphinx)(path, FEATURES[:0])
    reject(path, r"^empty: no frames; remove it, or compute the features again$")


@pytest.mark.parametrize("suffix", ["npy", "mfc"])
def test_features_that_are_all_equal_are_reported(tmp_path, suffix: str) -> None:
    path = tmp_path / f"1.{suffix}"
    (saved if suffix == "npy" else sphinx)(path, np.full_like(FEATURES, -2.5))
    reject(path, r"^silent: all values are -2\.5; remove it$")
