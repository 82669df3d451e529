"""Wide numbers and the exponential that feeds them, held against Python's own integers and mpmath-free float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from seqloss.kernels.numba import bits, exponentials, extended_exponent, vectors
from seqloss.kernels.numba.vectors import full_like, load, store

FLOATS = {np.float32: np.int32, np.float64: np.int64}
WIDTH = {np.float32: 16, np.float64: 8}


@njit
def _add(m1, e1, m2, e2, m, e):
    sum_m, sum_e = extended_exponent.add_extended(load(m1, 0), load(e1, 0), load(m2, 0), load(e2, 0))
    sum_m, sum_e = extended_exponent.normalize_extended(
        sum_m, sum_e, vectors.full_like(sum_e, extended_exponent.ZERO_EXPONENT)
    )
    store(m, 0, sum_m)
    store(e, 0, sum_e)


@njit
def _multiply(m1, e1, m2, e2, m, e):
    none = vectors.full_like(load(e1, 0), extended_exponent.ZERO_EXPONENT)
    product_m, product_e = extended_exponent.normalize_extended(
        load(m1, 0) * load(m2, 0), load(e1, 0) + load(e2, 0), none
    )
    store(m, 0, product_m)
    store(e, 0, product_e)


@njit
def _exp(x, result):
    given = load(x, 0)
    zero = full_like(given, 0.0)
    store(result, 0, exponentials.exp_difference(given, zero, exponentials.rounding_constant(given), zero))


@njit
def _power(like, exponent, result):
    store(result, 0, bits.power_of_two(load(like, 0), load(exponent, 0)))


def run(operation, first, second) -> tuple[float, int]:
    """One wide operation in all lanes; the lanes agree."""
    arrays = [
        np.full(8, value, np.float64 if index % 2 == 0 else np.int64)
        for index, value in enumerate((*first, *second, np.nan, 0))
    ]
    operation(*arrays)
    m, e = arrays[-2:]
    assert (m == m[0]).all()
    assert (e == e[0]).all()
    return float(m[0]), int(e[0])


ZERO = 0.0, extended_exponent.ZERO_EXPONENT
exponents = st.one_of(st.integers(-300, 300), st.integers(-(2**60), 2**20))
mantissas = st.floats(1.0, 2.0, exclude_max=True)


@settings(max_examples=300, deadline=None)
@given(mantissas, exponents, mantissas, exponents)
def test_a_sum_is_right_to_one_rounding_for_any_exponents(m1, e1, m2, e2) -> None:
    m, e = run(_add, (m1, e1), (m2, e2))
    top = max(e1, e2)
    exact = math.ldexp(m1, max(e1 - top, -1000)) + math.ldexp(m2, max(e2 - top, -1000))
    assert 1.0 <= m < 2.0
    assert math.ldexp(m, e - top) == pytest.approx(exact, rel=2.0**-51)


def test_adding_nothing_changes_nothing() -> None:
    for number in ((1.5, -(2**60)), (1.25, 7)):
        assert run(_add, number, ZERO) == number
        assert run(_add, ZERO, number) == number


def test_nothing_plus_nothing_and_nothing_times_anything_is_nothing() -> None:
    assert run(_add, ZERO, ZERO) == ZERO
    assert run(_multiply, ZERO, (1.5, -(2**60))) == ZERO
    assert run(_multiply, ZERO, ZERO) == ZERO


def test_a_product_of_two_mantissas_is_brought_back_below_two() -> None:
    assert run(_multiply, (1.75, -5), (1.5, 3)) == (1.3125, -1)


@pytest.mark.parametrize(("kind", "lowest"), [(np.float32, -126), (np.float64, -1022)])
def test_a_power_under_the_smallest_normal_number_is_exactly_zero(kind, lowest) -> None:
    exponent = np.resize(np.array([lowest, lowest - 1, -(2**29), 0]), WIDTH[kind]).astype(FLOATS[kind])
    result = np.full(WIDTH[kind], np.nan, kind)
    _power(np.ones(WIDTH[kind], kind), exponent, result)
    assert result[:4].tolist() == [2.0**lowest, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(("kind", "lowest"), [(np.float32, -87.3), (np.float64, -708.0)])
def test_exp_is_right_to_two_roundings_over_its_range(kind, lowest) -> None:
    points = np.concatenate([np.linspace(lowest, 0.0, 8001), -np.logspace(-12, 0, 999), [0.0] * 8])
    points = points[: len(points) // 16 * 16].astype(kind)
    for chunk in points.reshape(-1, WIDTH[kind]):
        result = np.empty_like(chunk)
        _exp(chunk, result)
        np.testing.assert_allclose(result, np.exp(chunk.astype(np.float64)), rtol=2 * np.finfo(kind).eps)


@pytest.mark.parametrize("kind", FLOATS)
def test_exp_of_minus_infinity_and_of_what_would_be_denormal_is_exactly_zero(kind) -> None:
    x = np.resize(np.array([-np.inf, -1e30, -760.0, 0.0]), WIDTH[kind]).astype(kind)
    result = np.full_like(x, np.nan)
    _exp(x, result)
    assert result[:4].tolist() == [0.0, 0.0, 0.0, 1.0]
