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
    "test_torch_compile_gives_the_same_bits": ("aot_eager",),
}
"""Of the parameters of tests that take long, the ones that do."""
NO_KERNELS = ("cubes", "ctc_check")
"""Parameters of tests that never come to a Triton kernel."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if INTERPRETED and HERE in item.path.parents and _takes_long(item):
            item.add_marker(pytest.mark.long)


def _takes_long(item: pytest.Item) -> bool:
    name, _, parameters = item.name.partition("[")
    kept = QUICK.get(name)
    return any(none in parameters for none in NO_KERNELS) or (
        kept is not None and not any(one in parameters for one in kept)
    )
