"""What a call launches on a GPU fits into its registers, and meets no oftener than it must: compiled, without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Kernels = dict[str, dict[str, Any]]

CALL = """
import torch
from seqloss.kernels.triton.ctc import pipeline as ctc
batch, time, classes, labels = {shape}
logits = torch.zeros(batch, time, classes, dtype=torch.{kind})
counts = torch.full((batch,), labels)
targets = torch.ones(batch, labels, dtype=torch.int64)
losses, kept = ctc.forward(
    logits, targets, torch.full((batch,), time), counts, blank=0, normalize=True, reduction="{reduction}", gradient=True
)
ctc.backward(logits, kept, torch.ones_like(losses.result), blank=0, mode=0)
"""
ALL = {
    "_prepare_targets_kernel", "_frames_kernel", "_main_path_kernel", "_sums_kernel", "_loss_kernel",
    "_posteriors_kernel", "_by_class_kernel", "_gradient_kernel",
}  # fmt: skip
SEVERAL = {"_clear_kernel"}
"""What a target of several blocks takes besides."""
SOON = ("bpe5k", 90)
SHAPES = {
    "bpe5k": ("16, 40, 5000, 50", "float32"),
    "ocr": ("64, 64, 96, 12", "float32"),
    "char": ("16, 40, 32, 120", "float32"),
    "words": ("32, 40, 128, 200", "float16"),
    "many words": ("400, 40, 128, 200", "float32"),
    "long": ("4, 40, 32, 800", "float32"),
    "many long": ("400, 40, 32, 800", "float32"),
    "pages": ("4, 40, 64, 1500", "float32"),
    "text50k": ("2, 40, 50000, 40", "bfloat16"),
}
WARPS = {"char": 4, "words": 4, "many words": 2, "long": 4, "many long": 8, "pages": 4}
"""Of a walk; elsewhere one."""
TOGETHER = {"many words": 2, "many long": 2}
"""Frames of a round of the walk's loop; elsewhere four."""


@pytest.fixture(scope="module", params=[
    pytest.param((name, capability), id=f"{name}-{capability}", marks=[pytest.mark.long] * ((name, capability) != SOON))
    for name in SHAPES for capability in (80, 90)
])  # fmt: skip
def compiled(
    request: pytest.FixtureRequest, compile_launches: Callable[[str, int], list[dict[str, Any]]]
) -> tuple[str, Kernels]:
    """A shape's name, and its kernels."""
    name, capability = request.param
    shape, kind = SHAPES[name]
    found = compile_launches(CALL.format(shape=shape, kind=kind, reduction="none"), capability)
    return name, {kernel["name"]: kernel for kernel in found}


def test_every_kernel_compiles_and_no_loop_waits_for_a_spilled_register(compiled: tuple[str, Kernels]) -> None:
    shape, kernels = compiled
    assert set(kernels) == (ALL | SEVERAL if shape in ("long", "pages") else ALL)
    assert {kernel["spills"] for kernel in kernels.values()} == {0}
    assert all(kernel["stack"] <= 16 for kernel in kernels.values())  # what only lives on across a loop


def test_every_kernel_declares_the_parameters_that_are_laid_out_for_it(compiled: tuple[str, Kernels]) -> None:
    assert all(kernel["laid_out"] for kernel in compiled[1].values())


FORMS = {
    "one segment, and reductions of each kind": [("1", "none"), ("20", "sum"), ("20", "labels")],
    "the others": [("2", "none"), ("20", "batch"), ("20", "mean")],
}
"""Frames and reductions of batches that are compiled in one process, which takes longer to begin than to compile."""


@pytest.mark.parametrize(
    "name", [name if n == 0 else pytest.param(name, marks=pytest.mark.long) for n, name in enumerate(FORMS)]
)
def test_one_segment_and_every_reduction_compile_to_what_is_laid_out_for_them(
    compile_launches: Callable[[str, int], list[dict[str, Any]]], name: str
) -> None:
    shapes = [(f"3, {time}, 5, 2", reduction) for time, reduction in FORMS[name]]
    call = "".join(CALL.format(shape=shape, kind="float32", reduction=reduction) for shape, reduction in shapes)
    found = compile_launches(call, 90)
    assert {kernel["name"] for kernel in found} == ALL
    assert all(kernel["laid_out"] and not kernel["spills"] for kernel in found)


def test_a_frame_of_the_walk_takes_two_shuffles_and_barriers_only_between_warps(compiled: tuple[str, Kernels]) -> None:
    name, kernels = compiled
    walk = kernels["_sums_kernel"]
    frames, warps = TOGETHER.get(name, 4), WARPS.get(name, 1)
    assert walk["warps"] == warps
    assert walk["loop"]["shuffles"] == 2 * frames
    assert walk["loop"]["barriers"] == (2 * frames if warps > 1 else 0)


def test_blocks_of_a_target_hand_over_by_release_and_acquire_and_nothing_else_does(
    compiled: tuple[str, Kernels],
) -> None:
    name, kernels = compiled
    orders = {kernel: found["orders"] for kernel, found in kernels.items() if found["orders"]}
    blocks = name in ("long", "pages")
    assert orders == ({"_sums_kernel": ["acq_rel", "acquire", "release"]} if blocks else {})


@pytest.mark.parametrize("name", ["_sums_kernel", "_posteriors_kernel"])
def test_what_a_round_of_a_walk_needs_was_asked_for_a_quarter_of_a_round_before(
    compiled: tuple[str, Kernels], name: str
) -> None:
    walk = compiled[1][name]
    assert 4 * walk["ahead"] > walk["loop"]["instructions"]


def test_the_passes_over_the_logits_keep_half_of_the_registers_free_for_a_second_block(
    compiled: tuple[str, Kernels],
) -> None:
    _, kernels = compiled
    for name in ("_frames_kernel", "_gradient_kernel"):
        assert 32 * kernels[name]["warps"] * kernels[name]["registers"] <= 65536 // 2
