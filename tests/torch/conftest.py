"""What `make test` leaves to `make test-long` in Triton's interpreter: what the CPU or another case shows as well."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
QUICK = {
    "test_what_is_left_for_the_gradient_may_come_back_from_elsewhere": ("2-1", "1-4"),
    "test_labels_one_row_after_another_on_the_device_are_those_of_padded_rows": ("torch.uint8", "torch.int64"),
    "test_the_operators_are_what_they_are_registered_as": ("True-none", "True-mean", "False-sum"),
    "test_loss_and_gradient_are_one_graph_and_the_same_bits": ("kind0", "'blank'"),
    "test_every_reduction_is_that_of_the_cpu_in_float64": ("True", "mean-None-False"),
    "test_every_way_to_the_hessian_gives_the_definitions": (
        "[autograd.grad-mean",
        "[is_grads_batched-CTCLoss",
        "[func.hessian-log",
        "[jacfwd of jacfwd-ctc_loss",
    ),
    "test_every_way_to_a_product_with_the_hessian_gives_the_definitions": ("[vhp-CTCLoss", "[jvp of grad-mean"),
    "test_what_is_trained_through_a_gradient_gets_the_definitions_gradient": ("ctc_loss",),
    "test_every_way_to_a_third_derivative_raises": ("[backward-ctc_loss", "[func.grad-CTCLoss"),
    "test_a_gradient_with_a_graph_is_the_same_if_nobody_differentiates_it": ("mean", "CTCLoss"),
    "test_a_loss_is_one_graph_of_torch_compile_with_dynamic_shapes_and_is_compiled_once": (
        "[aot_eager-ctc_loss",
        "[eager-CTCLoss",
        "[eager-concatenated",
    ),
    "test_make_fx_records_no_constant": ("[ctc_loss", "[concatenated", "[CTCLoss"),
    "test_make_fx_records_derivatives": ("[ctc_loss-hessian", "[CTCLoss-autograd.grad", "[CTCLoss-jvp"),
    "test_the_operators_pass_opcheck": ("[True-none",),
    "test_export_takes_any_number_of_frames": ("[ctc_loss-True", "[CTCLoss-False"),
    "test_grad_and_vjp_and_jacrev_give_the_gradient": ("[labels", "[CTCLoss"),
    "test_jvp_and_jacfwd_give_the_gradient_in_a_direction": ("[ctc_loss",),
    "test_a_program_recorded_without_a_gradient_has_first_and_second_derivatives": ("[export-ctc_loss", "[make_fx-CTC"),
    "test_a_single_row_is_compiled_with_its_lengths_in_every_form": ("[(7, 3)",),
    "test_vmap_inside_a_compiled_program_works_and_what_differentiates_runs_uncompiled_or_is_an_error": ("[none",),
    "test_vmap_over_batches_is_the_loop_over_them": ("[concatenated", "[CTCLoss"),
}
"""Of the parameters of tests that take long, the ones that do."""
NO_KERNELS = ("cubes", "ctc_check", "ctc_greedy", "ctc_align", "ctc_posteriors")
"""Parameters of tests that never come to a Triton kernel."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if INTERPRETED and HERE in item.path.parents and _takes_long(item):
            item.add_marker(pytest.mark.long)


def _takes_long(item: pytest.Item) -> bool:
    name, _, parameters = item.name.partition("[")
    kept = QUICK.get(name)
    return any(none in parameters for none in NO_KERNELS) or (
        kept is not None and not any(one in f"[{parameters}" for one in kept)
    )
