"""Each test takes one of these fixtures and so runs for every frontend: in all types, the precise ones, or just one."""

from __future__ import annotations

import os

import pytest

from .frontend import Frontend
from .frontends import FRONTENDS

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
QUICK = {
    "test_large_and_hard_batches_agree": ("sure by 8]",),
    "test_float32_gradients_keep_the_published_bounds": ("phone",),
    "test_posteriors_of_large_and_hard_batches_agree": (),
    "test_large_and_hard_batches_are_aligned_as_by_definition": ("sure by 8]",),
    "test_the_path_is_the_first_among_the_best_of_all": ("-3",),
    "test_the_loss_of_a_very_sure_model_is_above_zero_and_right_to_two_percent": ("30.0",),
    "test_nan_or_inf_in_a_frame_in_use_poisons_its_row_alone": ("nan0-4", "inf-0"),
    "test_a_mistake_is_told_when_a_gradient_is_asked_for": ("row 0", "row 1"),
    "test_the_callers_arrays_keep_their_bytes": ("-read-only",),
    "test_in_another_batch_or_order": ("reversed",),
    "test_transposed_in_memory": ("classes-second",),
    "test_a_score_over_1e8_below_its_frame_counts_as_minus_inf": ("-101000000.0", "-1e+30"),
    "test_scores_past_a_length_are_never_read_and_have_no_gradient": ("-nan-", "60000.0-True"),
    "test_labels_past_a_length_are_never_read": ("--100", "4611686018427387904"),
    "test_log_probabilities_of_a_half_type_are_not_refused_for_its_rounding": ("-1000",),
    "test_a_normalised_loss_is_never_below_0": ("-20.0", "1000.0"),
    "test_an_infeasible_row_has_no_gradient_whatever_comes_from_upstream": ("inf-inf-nan", "zero-0.0--inf", "0.0--3.0"),
    "test_without_validate_a_bad_label_gives_nan_for_its_row_alone": ("--1]", "-0]", "-5]", "4294967297"),
    "test_without_validate_a_bad_length_gives_nan_for_its_row_alone": ("0-8", "0--1", "1-4", "1-1099511627776"),
    "test_upstream_of_a_reduced_loss_scales_its_gradient": ("sum-12.5", "mean"),
    "test_an_infeasible_row_makes_the_total_inf_and_leaves_the_gradient_alone": ("sum-12.5", "mean"),
    "test_targets_and_lengths_of_any_integer_type_give_the_same_bits": ("uint8", "-int16", "uint64"),
    "test_concatenated_targets_mean_the_same_as_padded_ones": ("-int8", "uint32", "-int64"),
}
"""Tests that take Triton's interpreter long, and of their parameters the ones that do for `make test`."""


FEW = {
    "test_small_batches_agree",
    "test_small_batches_of_log_probabilities_agree",
    "test_posteriors_of_small_batches_agree",
    "test_a_reduction_weighs_losses_and_gradients_alike",
    "test_a_target_longer_than_its_frames_is_infeasible",
    "test_padding_has_no_gradient_whatever_comes_from_upstream",
    "test_a_negative_blank_counts_from_the_end",
    "test_a_batch_of_0_a_time_axis_of_0_and_one_class_work",
    "test_infeasible_raise_names_the_row_and_its_numbers",
    "test_nan_or_inf_in_a_frame_in_use_poisons_its_row_alone",
    "test_scores_past_a_length_are_never_read_and_have_no_gradient",
    "test_without_validate_a_bad_label_gives_nan_for_its_row_alone",
    "test_a_label_that_is_no_class_is_named_with_its_cause",
    "test_a_length_off_its_axis_is_named_with_its_cause",
    "test_an_argument_of_the_wrong_shape_is_named",
    "test_lengths_that_are_floats_are_named",
    "test_probabilities_for_log_probabilities_are_told_to_be_logarithms",
    "test_a_check_tells_probabilities_from_scores_before_softmax",
    "test_a_negative_label_before_other_labels_is_no_padding",
    "test_fractions_become_lengths_by_the_conversion_of_the_message",
    "test_where_shapes_are_static_concatenated_targets_are_told_to_be_padded",
    "test_scores_that_are_no_log_probabilities_are_refused_with_their_sum",
    "test_every_bad_row_is_counted_and_printed",
    "test_labels_and_frames_are_those_of_the_collapsed_path",
    "test_the_callers_arrays_keep_their_bytes",
    "test_random_rows_have_the_numpy_frontends_bits_wherever_they_stand",
}
"""What `make test` asks a frontend with `few_tests`: each argument and each kind of answer once. All that is about half
types comes on top."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to `make test-long` what another frontend or type shows as well.

    In Triton's interpreter a call takes half a second: half types run what is about them, float32 the rest.
    """
    for item in items:
        if (INTERPRETED and _takes_long(item)) or _shown_by_another(item):
            item.add_marker(pytest.mark.long)


def _shown_by_another(item: pytest.Item) -> bool:
    found = getattr(getattr(item, "callspec", None), "params", {}).values()
    few = any(isinstance(value, Frontend) and value.few_tests for value in found)
    return few and item.path.name != "test_half_types.py" and item.name.partition("[")[0] not in FEW


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
