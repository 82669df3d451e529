"""Wide numbers in Triton: sums, products and powers are exact to roundings, and zero stays zero."""

# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
import triton
import triton.language as tl

from seqloss.kernels.triton import extended_exponent
from seqloss.kernels.triton.extended_exponent import (
    add_extended,
    exp_approximate,
    exp_extended,
    exp_full_range,
    exp_nonpositive,
    indicator,
    multiply_extended,
    shift_to,
    two_difference,
)
from seqloss.kernels.triton.launch import launch_kernel

STEP = 32
NOTHING = int(extended_exponent.ZERO_EXPONENT.value)
UNIT = 2.0**-24


@triton.jit
def _pairs_kernel(x, x_exponent, y, y_exponent, value, exponent, MULTIPLY: tl.constexpr, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    one, one_exponent, other, other_exponent = (
        tl.load(x + at), tl.load(x_exponent + at), tl.load(y + at), tl.load(y_exponent + at)
    )  # fmt: skip
    if MULTIPLY:
        found, found_exponent = multiply_extended(one, one_exponent, other, other_exponent)
    else:
        found, found_exponent = add_extended(one, one_exponent, other, other_exponent)
        unit, unit_exponent = indicator(found >= 0.0)  # normalised by a product with 1
        found, found_exponent = multiply_extended(found, found_exponent, unit, unit_exponent)
    tl.store(value + at, found)
    tl.store(exponent + at, found_exponent)


@triton.jit
def _powers_kernel(x, value, exponent, below, any_, fast, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    distance = tl.load(x + at)
    found, found_exponent = exp_extended(distance, 0.0, distance >= -1e8)
    tl.store(value + at, found)
    tl.store(exponent + at, found_exponent)
    tl.store(below + at, exp_nonpositive(distance))
    tl.store(any_ + at, exp_full_range(distance))
    tl.store(fast + at, exp_approximate(distance))


@triton.jit
def _difference_kernel(x, y, found, lacking, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    rounded, rest = two_difference(tl.load(x + at), tl.load(y + at))
    tl.store(found + at, rounded)
    tl.store(lacking + at, rest)


@triton.jit
def _shifts_kernel(value, exponent, top, out, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    tl.store(out + at, shift_to(tl.load(value + at), tl.load(exponent + at), tl.load(top + at)))


def pairs(
    device: torch.device, xs: list[tuple[float, int]], ys: list[tuple[float, int]], product: bool
) -> list[tuple[float, int]]:
    size = 1 << (len(xs) - 1).bit_length()
    padding = [(0.0, NOTHING)] * (size - len(xs))
    arrays = []
    for numbers in (xs + padding, ys + padding):
        arrays.append(torch.tensor([value for value, _ in numbers], dtype=torch.float32, device=device))
        arrays.append(torch.tensor([exponent for _, exponent in numbers], dtype=torch.int32, device=device))
    value, exponent = torch.empty_like(arrays[0]), torch.empty_like(arrays[1])
    _pairs_kernel[(1,)](*arrays, value, exponent, MULTIPLY=product, SIZE=size)
    return list(zip(value.tolist(), exponent.tolist(), strict=True))[: len(xs)]


def exact(number: tuple[float, int]) -> Fraction:
    value, exponent = number
    return Fraction(value) * Fraction(2) ** (STEP * exponent) if value else Fraction(0)


def drawn(seed: int, count: int, spread: int) -> list[tuple[float, int]]:
    """Mantissas from 1 to 2^32 and exponents some steps apart; a tenth are zero."""
    rng = np.random.default_rng(seed)
    values = np.exp2(rng.uniform(0, STEP - 1e-6, count)).astype(np.float32)
    exponents = rng.integers(-spread, spread + 1, count)
    zero = rng.random(count) < 0.1
    return [
        (0.0, NOTHING) if none else (float(value), int(exponent))
        for value, exponent, none in zip(values, exponents, zero, strict=True)
    ]


def assert_right(found: list[tuple[float, int]], expected: list[Fraction], roundings: int) -> None:
    for number, right in zip(found, expected, strict=True):
        if right == 0:
            assert number == (0.0, NOTHING)
            continue
        assert 1.0 <= number[0] < 2.0**STEP
        error = abs(exact(number) / right - 1)
        assert error <= roundings * UNIT, f"{number}: {float(error) / UNIT} units"


@pytest.mark.parametrize("spread", [0, 1, 4, 1000])
def test_sums_are_right_to_two_roundings(device: torch.device, spread: int) -> None:
    xs, ys = drawn(spread, 256, spread), drawn(spread + 100, 256, spread)
    found = pairs(device, xs, ys, product=False)
    assert_right(found, [exact(x) + exact(y) for x, y in zip(xs, ys, strict=True)], 2)


@pytest.mark.parametrize("spread", [0, 4, 1000])
def test_products_are_right_to_a_rounding(device: torch.device, spread: int) -> None:
    xs, ys = drawn(spread, 256, spread), drawn(spread + 100, 256, spread)
    found = pairs(device, xs, ys, product=True)
    assert_right(found, [exact(x) * exact(y) for x, y in zip(xs, ys, strict=True)], 1)


LARGEST = float(np.nextafter(np.float32(2.0**32), np.float32(0)))


@pytest.mark.parametrize("far", [0, -1, 12345, -(1 << 27)])
def test_every_border_of_a_mantissa_is_normalised(device: torch.device, far: int) -> None:
    mantissas = [1.0, float(np.nextafter(np.float32(1), np.float32(2))), 2.0**16, 2.0**31, LARGEST]
    xs, ys = [(x, 0) for x in mantissas for _ in mantissas], [(y, 0) for _ in mantissas for y in mantissas]
    far_xs, far_ys = ([(value, far) for value, _ in numbers] for numbers in (xs, ys))
    for found, expected, roundings in (
        (pairs(device, far_xs, ys, True), [exact(x) * exact(y) for x, y in zip(xs, ys, strict=True)], 1),
        (pairs(device, far_xs, far_ys, False), [exact(x) + exact(y) for x, y in zip(xs, ys, strict=True)], 2),
    ):
        assert_right([(value, exponent - far) for value, exponent in found], expected, roundings)


def test_zero_and_zero_and_zero_times_anything_are_zero_however_often(device: torch.device) -> None:
    nothing = (0.0, NOTHING)
    for other in (nothing, (1.0, 0), (LARGEST, 1 << 27), (1.0, -(1 << 27))):
        assert pairs(device, [nothing], [other], product=True) == [nothing]
        assert pairs(device, [other], [nothing], product=True) == [nothing]
        assert pairs(device, [nothing], [other], product=False) == [other]
        assert pairs(device, [other], [nothing], product=False) == [other]


def shifts(device: torch.device, value: float, below: int) -> float:
    out = torch.empty(1, device=device)
    arrays = (torch.tensor([value]), torch.tensor([7 - below], dtype=torch.int32), torch.tensor([7], dtype=torch.int32))
    _shifts_kernel[(1,)](*(array.to(device) for array in arrays), out, SIZE=1)
    return float(out[0])


@pytest.mark.parametrize("below", range(4))
def test_a_number_some_steps_below_is_shifted_so_far(device: torch.device, below: int) -> None:
    for value in (1.0, 3.0, LARGEST):
        assert shifts(device, value, below) == value * 2.0 ** (-STEP * below)


@pytest.mark.parametrize("below", [4, 5, 100, 1 << 28])
def test_what_lies_further_below_is_a_normal_number_that_changes_no_sum(device: torch.device, below: int) -> None:
    found = shifts(device, LARGEST, below)
    assert found >= float(np.finfo(np.float32).tiny)
    assert 1.0 + np.float32(found) == 1.0


def powers(device: torch.device, distances: np.ndarray) -> tuple[np.ndarray, ...]:
    size = 1 << (len(distances) - 1).bit_length()
    x = torch.zeros(size, device=device)
    x[: len(distances)] = torch.from_numpy(distances.astype(np.float32)).to(device)
    out = [torch.empty_like(x, dtype=torch.int32 if i == 1 else None) for i in range(5)]
    _powers_kernel[(1,)](x, *out, SIZE=size)
    return tuple(part.cpu().numpy()[: len(distances)] for part in out)


DISTANCES = np.unique(
    np.concatenate(
        [
            -np.linspace(0, 90, 700),
            -np.logspace(-30, 8, 400),
            [-math.log(2) * STEP * k + d for k in (1, 2, 3, 1000) for d in (-1e-5, 0.0, 1e-5)],
        ]
    ).astype(np.float32)
)


def test_powers_as_wide_numbers_are_right_from_0_to_minus_1e8(device: torch.device) -> None:
    value, exponent, *_ = powers(device, DISTANCES)
    logs = np.log(value.astype(np.float64)) + exponent.astype(np.float64) * STEP * math.log(2)
    error = np.abs(logs - DISTANCES.astype(np.float64))
    distance = np.abs(DISTANCES.astype(np.float64))
    allowed = np.where(distance <= 1e4, 2.0, distance) * UNIT  # from there on the distance's own rounding
    assert (error <= allowed).all(), (error / allowed).max()
    assert ((value > 2.0**-24) & (value < 2.0**60)).all()  # as `multiply` takes them


def test_a_difference_and_what_its_rounding_lacks_are_exact(device: torch.device) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.choice([1e-3, 1.0, 3e3, 1e6], 512) * rng.standard_normal(512) for _ in range(2))
    x, y = (torch.from_numpy(values.astype(np.float32)).to(device) for values in (x, y))
    found, lacking = torch.empty_like(x), torch.empty_like(x)
    launch_kernel(_difference_kernel, 1, x, y, found, lacking, SIZE=512)
    assert (lacking != 0).any()
    torch.testing.assert_close(found.double() + lacking.double(), x.double() - y.double(), rtol=0, atol=0)


def test_a_closed_distance_has_power_zero(device: torch.device) -> None:
    value, exponent, below, *_ = powers(device, np.array([-1.01e8, -np.inf, np.nan]))
    assert (value == 0).all()
    assert (exponent == NOTHING).all()
    assert (below == 0).all()


def test_powers_below_0_are_right_and_0_where_they_would_be_no_normal_number(device: torch.device) -> None:
    _, _, below, *_ = powers(device, DISTANCES)
    expected = np.exp(DISTANCES.astype(np.float64))
    some = float(extended_exponent.LOWEST.value) <= DISTANCES
    np.testing.assert_allclose(below[some], expected[some], rtol=8 * UNIT)
    assert (below[~some] == 0).all()
    assert (below[some] >= np.finfo(np.float32).tiny).all()


def test_the_devices_own_powers_are_right_to_22_bits(device: torch.device) -> None:
    fast = powers(device, DISTANCES)[4]
    expected = np.exp(DISTANCES.astype(np.float32).astype(np.float64))
    roundings = 6 + (np.abs(DISTANCES) if device.type == "cpu" else 0)  # the interpreter's fma rounds its product
    assert (np.abs(fast - expected) <= roundings * UNIT * expected + 2.0**-126).all()
    assert (powers(device, np.array([-1e30, -np.inf]))[4] == 0).all()


def test_powers_of_anything_are_right_as_far_as_float32_reaches(device: torch.device) -> None:
    x = np.concatenate([np.linspace(-87, 88.7, 600), [-np.inf, np.inf, 0.0, 200.0, -200.0]]).astype(np.float32)
    found = powers(device, x)[3]
    with np.errstate(over="ignore"):
        expected = np.exp(x.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(found, expected, rtol=8 * UNIT)
    assert np.isnan(powers(device, np.array([np.nan]))[3][0])


def test_a_million_frames_of_ten_thousand_nats_do_not_wrap(device: torch.device) -> None:
    _, exponents, *_ = powers(device, np.array([-1e4]))
    assert abs(int(exponents[0])) * 1_000_000 < 1 << 29 < -NOTHING
