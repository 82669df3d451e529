"""Each test takes one of these fixtures and so runs for every door: in all types, the precise ones, or just one."""

from __future__ import annotations

import pytest

from .door import Door
from .doors import DOORS

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


@pytest.fixture(scope="session", **named([door for door in DOORS if door.same_kernel]))
def kernel_door(request: pytest.FixtureRequest) -> Door:
    """Of the doors before the kernel that they share."""
    return request.param


@pytest.fixture(scope="session", **named([door for door in PRECISE if door.same_kernel]))
def precise_kernel_door(request: pytest.FixtureRequest) -> Door:
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
