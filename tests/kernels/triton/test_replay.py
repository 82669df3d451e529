"""A call with a known signature launches the same kernels, on memory that is laid out as it was."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from seqloss.kernels.triton import _compat, launch, launch_list
from seqloss.kernels.triton.ctc import pipeline as ctc
from seqloss.kernels.triton.ctc import replay
from seqloss.torch import ctc_loss
from tests.kernels.triton.fake_driver import Compiled, Cuda

OPTIONS = {"blank": 0, "normalize": True, "infeasible": 0, "reduction": "none", "rounding": None, "gradient": True}
CONSTANTS = 6
"""Of the gradient's kernel."""


def batch(time: int, labels: int, rows: int = 3, classes: int = 9) -> list[torch.Tensor]:
    return [
        torch.randn(rows, time, classes),
        torch.randint(1, classes, (rows, labels)),
        torch.full((rows,), time),
        torch.full((rows,), labels),
    ]


def left(found: replay.Forward) -> tuple[torch.Tensor, replay.Layout, replay.Plan | None]:
    assert found.residuals is not None
    assert found.layout is not None
    return found.residuals, found.layout, found.plan


def unpacked(found: replay.Forward) -> Any:
    return replay.unpack_residuals(*left(found)[:2])


def spans(launches: list[launch.Launch]) -> list[int]:
    """Bytes of each tensor that kernels are given, in order."""
    return [
        value.untyped_storage().nbytes()
        for one in launches
        for value in one.args
        if isinstance(value, torch.Tensor) and value.numel()
    ]


def addresses(recorded: list[Any], launches: list[launch.Launch]) -> list[int]:
    """Those that kernels were started with, in order."""
    return [
        number
        for (_, _, values), one in zip(recorded, launches, strict=True)
        for number, value in zip(values, one.args, strict=False)
        if isinstance(value, torch.Tensor) and value.numel()
    ]


def numbers(recorded: list[Any], launches: list[launch.Launch]) -> list[Any]:
    """What they were started with beside that and what is compiled in."""
    return [
        number
        for (_, _, values), one in zip(recorded, launches, strict=True)
        for kind, number, value in zip(_compat.argument_types(one.kernel), values, one.args, strict=False)
        if not isinstance(value, torch.Tensor) and kind != "constexpr"
    ]


def test_nothing_is_replayed_where_the_environment_turns_it_off(
    started: list[Any], cuda: Cuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQLOSS_CUDA_REPLAY", "0")
    given = batch(21, 3)
    for _ in range(3):
        started.clear()
        found = replay.forward(*given, **OPTIONS)
        assert found.plan is None
        assert started, "kernels are started one by one"


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(("time", "labels"), [(20, 3), (40, 7), (700, 300), (5, 0)], ids=str)
def test_a_third_call_starts_what_the_second_did_on_memory_laid_out_alike(
    started: list[Any], time: int, labels: int, reduction: str
) -> None:
    options = {**OPTIONS, "reduction": reduction}
    replay.forward(*batch(time, labels), **options)
    started.clear()
    with launch.record_launches() as launches:
        losses, kept = ctc.forward(*(second := batch(time, labels)), **options)
    before, with_numbers = addresses(started, launches), numbers(started, launches)
    replay.forward(*second, **options)
    started.clear()
    found = replay.forward(*(third := batch(time, labels)), **options)
    assert found.plan is not None
    assert kept is not None
    after = addresses(started, launches)
    assert [(name, grid) for name, grid, _ in started] == [(one.kernel.name, (one.programs, 1, 1)) for one in launches]
    assert numbers(started, launches) == with_numbers
    assert [one == other for one, other in itertools.combinations(after, 2)] == [
        one == other for one, other in itertools.combinations(before, 2)
    ]
    assert found.result.shape == losses.result.shape
    ours = (*third, found.result, *unpacked(found))
    for one, other in zip((*second, losses.result, *kept), ours, strict=True):
        assert (one is None) == (other is None)
        if one is not None and one.numel():
            assert [at == one.data_ptr() for at in before] == [at == other.data_ptr() for at in after]
    given = {tensor.data_ptr() for tensor in (*third, found.result)}
    own = sorted({(at, size) for at, size in zip(after, spans(launches), strict=True) if at not in given})
    assert all(at % 16 == 0 for at, _ in own)
    assert all(at + size <= following for (at, size), (following, _) in itertools.pairwise(own))


def test_numbers_that_are_not_whole_are_handed_over_as_float32(started: list[Any]) -> None:
    options = {**OPTIONS, "normalize": False, "rounding": 0.1}
    calls = []
    for _ in range(3):
        started.clear()
        replay.forward(*batch(20, 3), **options)
        calls.append([number for _, _, values in started for number in values if isinstance(number, float)])
    assert len(calls[1]) == 1
    assert calls[2] == [pytest.approx(calls[1][0], rel=2**-24)]


def test_a_call_of_a_known_signature_goes_to_the_current_stream(started: list[Any], cuda: Cuda) -> None:
    for _ in range(3):
        replay.forward(*batch(20, 3), **OPTIONS)
    assert set(cuda.streams) == {5}


@pytest.mark.parametrize("other", [{"extra": 3}, {"pointer": ".u32"}], ids=str)
def test_a_kernel_with_other_parameters_than_triton_says_is_never_replayed(
    started: list[Any], cuda: Cuda, other: dict[str, Any]
) -> None:
    vars(cuda).update(other)
    for _ in range(4):
        assert replay.forward(*batch(20, 3), **OPTIONS).plan is None
    assert not cuda.streams


@pytest.mark.parametrize("name", ["global_scratch_size", "profile_scratch_size"])
def test_a_kernel_that_asks_for_memory_of_tritons_is_never_replayed(
    started: list[Any], cuda: Cuda, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    compiled = cuda.compiled

    def asking(kernel: Compiled) -> Compiled:
        setattr(kernel.metadata, name, 128)
        return compiled(kernel)

    monkeypatch.setattr(cuda, "compiled", asking)
    for _ in range(4):
        assert replay.forward(*batch(20, 3), **OPTIONS).plan is None


def test_kernels_whose_code_triton_was_told_not_to_keep_are_never_replayed(
    started: list[Any], cuda: Cuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = cuda.compiled

    def forgotten(kernel: Compiled) -> Compiled:
        compiled(kernel).asm.clear()
        return kernel

    monkeypatch.setattr(cuda, "compiled", forgotten)
    for _ in range(4):
        assert replay.forward(*batch(20, 3), **OPTIONS).plan is None


@pytest.mark.parametrize("losses", [1, 2])
def test_a_checkpoint_may_see_a_signature_first_here_and_later_there(started: list[Any], losses: int) -> None:
    logits, *rest = batch(20, 3)
    for _ in range(3):
        x = logits.clone().requires_grad_()
        found = checkpoint(lambda x: sum(ctc_loss(x, *rest).sum() for _ in range(losses)), x, use_reentrant=False)
        found.backward()
        assert x.grad is not None


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_what_is_left_for_the_gradient_looks_alike_in_every_call_of_a_signature(
    started: list[Any], reduction: str
) -> None:
    forms = set()
    for _ in range(4):
        kept, layout, _ = left(replay.forward(*batch(20, 3), **{**OPTIONS, "reduction": reduction}))
        forms.add((kept.shape, kept.dtype, layout))
    assert len(forms) == 1


def test_upstream_that_lies_where_the_logits_do_is_not_recorded(started: list[Any]) -> None:
    for _ in range(3):
        given = batch(20, 3)
        found = replay.forward(*given, **OPTIONS)
    replay.backward(given[0], *left(found), given[0].view(-1)[:3], blank=0, mode=0)
    for _ in range(2):
        started.clear()
        replay.backward(given[0], *left(found), torch.ones(3), blank=0, mode=0)
        ((_, _, values),) = started
        assert values[0] == given[0].data_ptr()


def test_a_thread_that_has_not_met_the_device_gets_its_context(started: list[Any], cuda: Cuda) -> None:
    for _ in range(2):
        replay.forward(*batch(20, 3), **OPTIONS)
    started.clear()
    cuda.answers = [launch_list.NO_CONTEXT]
    replay.forward(*batch(20, 3), **OPTIONS)
    assert cuda.contexts == [77]
    once = [name for name, _, _ in started]
    started.clear()
    replay.forward(*batch(20, 3), **OPTIONS)
    assert [name for name, _, _ in started] == once


def test_what_the_driver_refuses_is_an_error(started: list[Any], cuda: Cuda) -> None:
    for _ in range(2):
        replay.forward(*batch(20, 3), **OPTIONS)
    cuda.answers = [0, 700]
    with pytest.raises(RuntimeError, match="refused cuLaunchKernel with error 700"):
        replay.forward(*batch(20, 3), **OPTIONS)


def test_what_is_left_for_the_gradient_is_read_where_it_was_written(started: list[Any]) -> None:
    for _ in range(3):
        given = batch(20, 3)
        found = replay.forward(*given, **OPTIONS)
    kept = unpacked(found)
    upstream = torch.ones(3)
    calls = []
    for _ in range(2):
        started.clear()
        result = replay.backward(given[0], *left(found), upstream, blank=0, mode=0)
        ((_, grid, values),) = started
        expected = [given[0], *kept, upstream, result]
        assert list(values[: len(expected)]) == [None if tensor is None else tensor.data_ptr() for tensor in expected]
        numbers = [value for value in values[len(expected) : -CONSTANTS] if value not in (1, None)]
        calls.append((grid, numbers))
    assert calls[0] == calls[1]


def test_logits_that_were_saved_in_another_order_are_read_in_theirs(started: list[Any]) -> None:
    for _ in range(3):
        logits, *rest = batch(20, 3)
        logits = logits.transpose(0, 1).contiguous().transpose(0, 1)
        found = replay.forward(logits, *rest, **OPTIONS)
    steps = []
    for saved in (logits, logits, logits.contiguous(), logits.contiguous()):
        started.clear()
        replay.backward(saved, *left(found), torch.ones(3), blank=0, mode=0)
        ((_, _, values),) = started
        steps.append(tuple(values[15:17]))
    assert steps[0] == steps[1] == (9, 27)
    assert steps[2] == steps[3] == (180, 9)


def test_arguments_that_are_the_same_memory_are_never_replayed(started: list[Any]) -> None:
    logits, targets, frame_counts, _ = batch(4, 4)
    for _ in range(4):
        assert replay.forward(logits, targets, frame_counts, frame_counts, **OPTIONS).plan is None


@pytest.mark.parametrize("other", [{"time": 21}, {"labels": 4}, {"rows": 4}, {"classes": 8}], ids=str)
def test_another_signature_has_a_plan_of_its_own(started: list[Any], other: dict[str, int]) -> None:
    for _ in range(3):
        replay.forward(*batch(20, 3), **OPTIONS)
    assert replay.forward(*batch(**{"time": 20, "labels": 3, **other}), **OPTIONS).plan is None


@pytest.mark.parametrize("number", range(4), ids=["logits", "targets", "logit_lengths", "target_lengths"])
def test_another_type_or_alignment_has_a_plan_of_its_own(started: list[Any], number: int) -> None:
    for _ in range(3):
        replay.forward(*batch(20, 3), **OPTIONS)
    given = batch(20, 3)
    other = given[number].half() if number == 0 else given[number].int()
    assert replay.forward(*given[:number], other, *given[number + 1 :], **OPTIONS).plan is None
    shifted = given[number].new_empty(given[number].numel() + 1)[1:].view(given[number].shape)
    assert replay.forward(*given[:number], shifted, *given[number + 1 :], **OPTIONS).plan is None


@pytest.mark.parametrize(
    "changed",
    [
        {"blank": 1},
        {"normalize": False},
        {"infeasible": 1},
        {"reduction": "mean"},
        {"rounding": 0.1},
        {"gradient": False},
    ],
    ids=str,
)
def test_other_options_have_a_plan_of_their_own(started: list[Any], changed: dict[str, Any]) -> None:
    for _ in range(3):
        replay.forward(*batch(20, 3), **OPTIONS)
    assert replay.forward(*batch(20, 3), **{**OPTIONS, **changed}).plan is None
