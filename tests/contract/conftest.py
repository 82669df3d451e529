"""Each test takes one of these fixtures and so runs for every door: in all types, the precise ones, or just one."""

from __future__ import annotations

import os

import pytest

from .door import Door
from .doors import DOORS

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
QUICK = {
    "test_large_and_hard_batches_agree": ("sure by 8",),
    "test_float32_gradients_keep_the_published_bounds": ("phone",),
    "test_posteriors_of_large_and_hard_batches_agree": (),
    "test_the_loss_of_a_very_sure_model_is_above_zero_and_right_to_two_percent": ("30.0",),
    "test_nan_or_inf_in_a_frame_in_use_poisons_its_row_alone": ("nan0-4", "inf-0"),
    "test_a_mistake_is_told_when_a_gradient_is_asked_for": ("row 0", "row 1"),
}
"""Tests that take Triton's interpreter long, and of their parameters the ones that do for `make test`."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In Triton's interpreter a call takes half a second: half types run what is about them, float32 the rest."""
    if INTERPRETED:
        for item in items:
            if _takes_long(item):
                item.add_marker(pytest.mark.long)


def _takes_long(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    name = item.name.partition("[")[0]
    half = "float16" in item.name and "half_door" not in fixtures
    return half or (name in QUICK and not any(kept in item.name for kept in QUICK[name]))


PRECISE = [door for door in DOORS if not door.half]


def named(doors: list[Door]) -> dict[str, list[object]]:
    marks = {True: [pytest.mark.long], False: []}
    return {"params": [pytest.param(door, marks=marks[door.long], id=f"{door.name}-{door.dtype}") for door in doors]}


@pytest.fixture(scope="session", **named(DOORS))
def door(request: pytest.FixtureRequest) -> Door:
    return request.param


@pytest.fixture(scope="session", **named(PRECISE))
def precise_door(request: pytest.FixtureRequest) -> Door:
    return request.param


@pytest.fixture(scope="session", **named([door for door in DOORS if door.half]))
def half_door(request: pytest.FixtureRequest) -> Door:
    return request.param


@pytest.fixture(scope="session", **named([door for door in DOORS if door.dtype == "float32"]))
def float32_door(request: pytest.FixtureRequest) -> Door:
    return request.param


@pytest.fixture(scope="session", **named([door for door in DOORS if door.dtype == "float64"]))
def float64_door(request: pytest.FixtureRequest) -> Door:
    return request.param


@pytest.fixture(scope="session", **named([door for door in DOORS if door.same_bits]))
def kernel_door(request: pytest.FixtureRequest) -> Door:
    """Of the doors before a kernel of ours."""
    return request.param


@pytest.fixture(scope="session", **named([door for door in PRECISE if door.same_kernel]))
def precise_kernel_door(request: pytest.FixtureRequest) -> Door:
    """Of the doors before the kernel that they share."""
    return request.param


@pytest.fixture(scope="session", **named([door for door in PRECISE if door.strides]))
def strided_door(request: pytest.FixtureRequest) -> Door:
    return request.param


@pytest.fixture(scope="session", **named([door for door in DOORS if door.concatenated]))
def concatenating_door(request: pytest.FixtureRequest) -> Door:
    return request.param


@pytest.fixture(scope="session", **named([door for door in DOORS if not door.concatenated]))
def padding_door(request: pytest.FixtureRequest) -> Door:
    return request.param


@pytest.fixture(scope="session", **named([door for door in DOORS if door.aligns]))
def aligning_door(request: pytest.FixtureRequest) -> Door:
    return request.param
