"""Each test takes one of these fixtures and so runs for every frontend: in all types, the precise ones, or just one."""

from __future__ import annotations

import os

import pytest

from .frontend import Frontend
from .frontends import FRONTENDS

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
    half = "float16" in item.name and "half_frontend" not in fixtures
    return half or (name in QUICK and not any(kept in item.name for kept in QUICK[name]))


PRECISE = [frontend for frontend in FRONTENDS if not frontend.half]


def named(frontends: list[Frontend]) -> dict[str, list[object]]:
    marks = {True: [pytest.mark.long], False: []}
    return {
        "params": [
            pytest.param(frontend, marks=marks[frontend.long], id=f"{frontend.name}-{frontend.dtype}")
            for frontend in frontends
        ]
    }


@pytest.fixture(scope="session", **named(FRONTENDS))
def frontend(request: pytest.FixtureRequest) -> Frontend:
    return request.param


@pytest.fixture(scope="session", **named(PRECISE))
def precise_frontend(request: pytest.FixtureRequest) -> Frontend:
    return request.param


@pytest.fixture(scope="session", **named([frontend for frontend in FRONTENDS if frontend.half]))
def half_frontend(request: pytest.FixtureRequest) -> Frontend:
    return request.param


@pytest.fixture(scope="session", **named([frontend for frontend in FRONTENDS if frontend.dtype == "float32"]))
def float32_frontend(request: pytest.FixtureRequest) -> Frontend:
    return request.param


@pytest.fixture(scope="session", **named([frontend for frontend in FRONTENDS if frontend.dtype == "float64"]))
def float64_frontend(request: pytest.FixtureRequest) -> Frontend:
    return request.param


@pytest.fixture(scope="session", **named([frontend for frontend in FRONTENDS if frontend.same_bits]))
def kernel_frontend(request: pytest.FixtureRequest) -> Frontend:
    """Of the frontends before a kernel of ours."""
    return request.param


@pytest.fixture(scope="session", **named([frontend for frontend in PRECISE if frontend.same_kernel]))
def precise_kernel_frontend(request: pytest.FixtureRequest) -> Frontend:
    """Of the frontends before the kernel that they share."""
    return request.param


@pytest.fixture(scope="session", **named([frontend for frontend in PRECISE if frontend.strides]))
def strided_frontend(request: pytest.FixtureRequest) -> Frontend:
    return request.param


@pytest.fixture(scope="session", **named([frontend for frontend in FRONTENDS if frontend.concatenated]))
def concatenating_frontend(request: pytest.FixtureRequest) -> Frontend:
    return request.param


@pytest.fixture(scope="session", **named([frontend for frontend in FRONTENDS if not frontend.concatenated]))
def padding_frontend(request: pytest.FixtureRequest) -> Frontend:
    return request.param


@pytest.fixture(scope="session", **named([frontend for frontend in FRONTENDS if frontend.aligns]))
def aligning_frontend(request: pytest.FixtureRequest) -> Frontend:
    return request.param
