"""Wide numbers in whole arrays: exact where they claim to be, at any magnitude."""

from __future__ import annotations

import numpy as np
import pytest

from seqloss.formulas.extended_exponent import NOTHING, Extended, add, exp, indicator, log, multiply
from seqloss.numpy.namespace import NumPyNamespace

XP = NumPyNamespace()
RNG = np.random.default_rng(0)


def value(x: Extended) -> np.ndarray:
    """As a longdouble, whose exponents reach far enough here."""
    return np.ldexp(x.value.astype(np.longdouble), 32 * np.maximum(x.exponent, -500))


def drawn(count: int, spread: int = 200) -> Extended:
    return Extended(
        (2.0 ** RNG.uniform(0, 32, count)).astype(np.float32), RNG.integers(-spread, spread, count).astype(np.int32)
    )


@pytest.mark.parametrize("deepest", [-1.0, -100.0, -11000.0])
def test_exp_is_right_to_two_roundings_for_any_float32_down_to_minus_11000(deepest: float) -> None:
    x = (deepest * RNG.uniform(0, 1, 10_000)).astype(np.float32)
    expected = np.exp(x.astype(np.longdouble))
    error = np.abs(value(exp(XP, x, x < 1)) / expected - 1)
    assert error.max() < 2.5 * 2.0**-24 * 2


def test_exp_of_a_closed_entry_is_zero_for_any_value() -> None:
    x = np.array([np.nan, -np.inf, np.inf, -1.0], np.float32)
    found = exp(XP, x, np.array([False, False, False, True]))
    assert found.value[:3].tolist() == [0.0, 0.0, 0.0]
    assert found.exponent[:3].tolist() == [NOTHING] * 3
    assert found.value[3] > 0


def test_sums_and_products_are_right_to_one_rounding() -> None:
    x, y = drawn(10_000), drawn(10_000, 3)
    for found, expected in ((add(XP, x, y), value(x) + value(y)), (multiply(XP, x, y), value(x) * value(y))):
        assert np.abs(value(found) / expected - 1).max() <= 2.0**-23


def test_a_product_is_normalised() -> None:
    found = multiply(XP, drawn(10_000), drawn(10_000))
    assert (found.value >= 1).all()
    assert (found.value < 2.0**32).all()


def test_zero_stays_zero_and_changes_no_sum() -> None:
    x = drawn(100)
    zero = indicator(XP, np.zeros(100, bool), x.value)
    assert multiply(XP, x, zero).exponent.tolist() == [NOTHING] * 100
    assert multiply(XP, zero, zero).value.tolist() == [0.0] * 100
    np.testing.assert_array_equal(value(add(XP, x, zero)), value(x))
    with np.errstate(divide="ignore"):
        assert (log(XP, zero) == -np.inf).all()


def test_log_is_the_logarithm() -> None:
    x = drawn(1000)
    np.testing.assert_allclose(log(XP, x), np.log(value(x)).astype(float), rtol=3e-7, atol=2e-6)
