"""Boundaries are compared phone by phone, without the glottal stop."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from seqloss.recipes.recognition.segments import Segment

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import phone_boundaries

    yield phone_boundaries
    sys.modules.pop("phone_boundaries")


def test_boundaries_are_those_of_the_phn_file_without_the_glottal_stop(measured, tmp_path) -> None:
    (tmp_path / "SI1.PHN").write_text("0 1600 h#\n1600 3200 q\n3200 4800 iy\n4800 6400 h#\n")
    assert measured.read_boundaries(tmp_path / "SI1.WAV") == [0.0, 0.2, 0.3]


def test_an_error_is_positive_where_a_boundary_is_late(measured) -> None:
    found = [Segment(0.0, 0.1, "sil"), Segment(0.22, 0.26, "iy"), Segment(0.28, 0.4, "sil")]
    errors = measured.boundary_errors(found, [0.0, 0.2, 0.3])
    assert errors["start"] == pytest.approx([0.02, -0.02])
    assert errors["middle"] == pytest.approx([-0.04, -0.03])
    assert measured.summarise(errors["start"])["within_20_ms"] == 1.0
    assert measured.summarise(errors["middle"]) == {
        "boundaries": 2, "median_ms": 35.0, "median_offset_ms": -35.0, "within_20_ms": 0.0,
    }  # fmt: skip


def test_another_number_of_phones_is_an_error(measured) -> None:
    with pytest.raises(ValueError, match="zip"):
        measured.boundary_errors([Segment(0.0, 0.1, "sil")], [0.0, 0.2])
