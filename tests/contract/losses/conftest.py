"""Fixtures of the losses of a batch's points: each test runs for every frontend, in all types or the precise ones."""

from __future__ import annotations

import os
from typing import Any

import pytest

from .frontends import BACKEND, TYPES, LossFrontend, TorchFuncFrontend, params

if os.environ.get("TRITON_INTERPRET") == "1" or os.environ.get("SEQLOSS_FRONTENDS") == "triton":
    collect_ignore_glob = ["test_*.py"]  # these losses have no Triton kernels


ON_JAX: dict[str, tuple[str, ...]] = {
    "test_reductions_of_cross_entropy_agree_with_the_loop": ("none-None", "mean-None"),
    "test_reductions_of_errors_agree_with_the_loop": ("none-None", "mean-None-squared"),
    "test_steps_are_weighted_from_the_first_real_one_of_their_row": ("none-None",),
    "test_a_step_of_errors_is_padding_if_all_its_targets_are": ("3-nan-squared", "None--9-absolute"),
    "test_what_stands_in_padding_is_never_read": ("nan",),
    "test_labels_and_lengths_may_have_any_integer_type": ("-int8", "-int64"),
    "test_a_batch_without_anything_to_separate_gives_0_and_no_gradient": ("all lone", "none"),
    "test_a_coordinate_that_is_not_finite_makes_every_loss_nan": ("nan",),
    "test_the_callers_arrays_keep_their_bytes": ("writable-loss", "float32]", "float64]"),
    "test_without_a_pair_the_loss_is_0": ("0-",),
    "test_a_row_that_is_not_finite_makes_its_pairs_nan_and_no_others": ("bad0",),
    "test_a_vector_of_zeros_has_cosine_0_and_no_gradient": ("1-",),
    "test_a_row_that_is_not_finite_makes_its_triplet_nan_and_no_other": ("nan",),
    "test_triplets_are_those_of_the_definition": ("semi-hard",),
}
"""The parameters that `make test` runs on JAX, which compiles each operation for each shape; the rest is long there."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        kept = ON_JAX.get(item.name.partition("[")[0])
        on_jax = os.environ.get("KERAS_BACKEND") == "jax" or "jax-" in item.name
        if kept and on_jax and item.path.parent.name == "losses" and not any(part in item.name for part in kept):
            item.add_marker(pytest.mark.long)


def point_params(*types: str) -> list[Any]:
    """In PyTorch the loss is computed by blocks, as in a training, or whole, as under the transforms of torch.func."""
    return params(types, *([] if BACKEND else [TorchFuncFrontend]))


@pytest.fixture(params=point_params(*TYPES))
def points_frontend(request: pytest.FixtureRequest) -> LossFrontend:
    return request.param


@pytest.fixture(params=point_params("float32", "float64"))
def precise_points_frontend(request: pytest.FixtureRequest) -> LossFrontend:
    return request.param


@pytest.fixture(params=point_params("float32"))
def float32_points_frontend(request: pytest.FixtureRequest) -> LossFrontend:
    return request.param


@pytest.fixture(params=point_params("float64"))
def float64_points_frontend(request: pytest.FixtureRequest) -> LossFrontend:
    return request.param


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few points, so that a small batch has several."""
    from seqloss.numpy.losses import soft_nearest_neighbor as host

    monkeypatch.setattr(host, "BLOCK", 4)
    if os.environ.get("KERAS_BACKEND", "torch") == "torch":
        from seqloss.torch.losses import pair_blocks

        monkeypatch.setitem(pair_blocks.BLOCK, "cpu", 4)
