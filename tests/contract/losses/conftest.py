"""Fixtures of the losses of a batch's points: each test runs for every frontend, in all types or the precise ones."""

from __future__ import annotations

import pytest

from .point_frontends import PointFrontend, params


@pytest.fixture(params=params())
def points_frontend(request: pytest.FixtureRequest) -> PointFrontend:
    return request.param


@pytest.fixture(params=params(lambda frontend: frontend.dtype in ("float32", "float64")))
def precise_points_frontend(request: pytest.FixtureRequest) -> PointFrontend:
    return request.param


@pytest.fixture(params=params(lambda frontend: frontend.dtype == "float32"))
def float32_points_frontend(request: pytest.FixtureRequest) -> PointFrontend:
    return request.param


@pytest.fixture(params=params(lambda frontend: frontend.dtype == "float64"))
def float64_points_frontend(request: pytest.FixtureRequest) -> PointFrontend:
    return request.param


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few points, so that a small batch has several."""
    import os

    from seqloss.numpy.losses import soft_nearest_neighbor as host

    monkeypatch.setattr(host, "BLOCK", 4)
    if os.environ.get("KERAS_BACKEND", "torch") == "torch":
        from seqloss.torch.losses import pair_blocks

        monkeypatch.setitem(pair_blocks.BLOCK, "cpu", 4)
