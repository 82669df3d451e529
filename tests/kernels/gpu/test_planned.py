"""A form that was seen before starts the same kernels, on memory that is laid out as it was."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from seqloss.kernels.gpu import by_class, ctc, frames, gradient, launch, main_path, planned, sums, text, tiles

OPTIONS = {"blank": 0, "normalize": True, "infeasible": 0, "rounding": None, "gradient": True}


class Compiled:
    """A compiled kernel that notes what it is started with instead of running."""

    def __init__(self, name: str, noted: list[Any]) -> None:
        self.name, self.noted = name, noted

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        return lambda *values: self.noted.append((self.name, grid, values))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What kernels are started with, as on a GPU, but that nothing runs."""
    noted: list[Any] = []

    class AllCompiled(dict[Any, Any]):
        def get(self, key: Any, default: Any = None) -> Any:
            return self.setdefault(key, Compiled(str(key[0]), noted))

    class Driver:
        active = type("Active", (), {"get_current_device": staticmethod(lambda: 0)})

    monkeypatch.setattr(launch, "JITFunction", object)
    monkeypatch.setattr(launch, "driver", Driver)
    monkeypatch.setattr(launch, "_compiled", AllCompiled())
    monkeypatch.setattr(planned, "_plans", {})
    for module in (tiles, frames, text, planned):
        monkeypatch.setattr(module, "interpreted", lambda device: False, raising=False)
    yield noted
    assert {by_class, gradient, main_path, sums, ctc}  # imported before they are started


def batch(time: int, labels: int, rows: int = 3, classes: int = 9) -> list[torch.Tensor]:
    return [
        torch.randn(rows, time, classes),
        torch.randint(1, classes, (rows, labels)),
        torch.full((rows,), time),
        torch.full((rows,), labels),
    ]


def spans(launches: list[launch.Launch]) -> list[int]:
    """Bytes of each tensor that kernels are given, in order."""
    return [
        value.untyped_storage().nbytes()
        for one in launches
        for value in one.args
        if isinstance(value, torch.Tensor) and value.numel()
    ]


def addresses(noted: list[Any], launches: list[launch.Launch]) -> list[int]:
    """Those that kernels were started with, in order."""
    return [
        number
        for (_, _, values), one in zip(noted, launches, strict=True)
        for number, value in zip(values, one.args, strict=False)
        if isinstance(value, torch.Tensor) and value.numel()
    ]


@pytest.mark.parametrize(("time", "labels"), [(20, 3), (40, 7), (700, 300), (5, 0)], ids=str)
def test_a_third_call_starts_what_the_second_did_on_memory_laid_out_alike(
    started: list[Any], time: int, labels: int
) -> None:
    planned.forward(*batch(time, labels), **OPTIONS)
    started.clear()
    with launch.noting() as launches:
        losses, kept = ctc.forward(*(second := batch(time, labels)), **OPTIONS)
    before = addresses(started, launches)
    planned.forward(*second, **OPTIONS)
    started.clear()
    found = planned.forward(*(third := batch(time, labels)), **OPTIONS)
    assert found.plan is not None
    assert kept is not None
    after = addresses(started, launches)
    assert [(name, grid) for name, grid, _ in started] == [(one.kernel.name, (one.programs, 1, 1)) for one in launches]
    assert [one == other for one, other in itertools.combinations(after, 2)] == [
        one == other for one, other in itertools.combinations(before, 2)
    ]
    ours = (*third, found.losses, *planned.unpacked(found.saved, found.plan))
    for one, other in zip((*second, losses.losses, *kept), ours, strict=True):
        assert [at == one.data_ptr() for at in before] == [at == other.data_ptr() for at in after]
    given = {tensor.data_ptr() for tensor in (*third, found.losses)}
    own = sorted({(at, size) for at, size in zip(after, spans(launches), strict=True) if at not in given})
    assert all(at % 16 == 0 for at, _ in own)
    assert all(at + size <= following for (at, size), (following, _) in itertools.pairwise(own))


def test_what_is_left_for_the_gradient_is_read_where_it_was_written(started: list[Any]) -> None:
    for _ in range(3):
        given = batch(20, 3)
        found = planned.forward(*given, **OPTIONS)
    kept = planned.unpacked(found.saved, found.plan)
    upstream = torch.ones(3)
    calls = []
    for _ in range(2):
        started.clear()
        result = planned.backward(given[0], found.saved, found.plan, upstream, blank=0, mode=0)
        ((_, grid, values),) = started
        expected = [given[0], *kept, upstream, result]
        assert list(values[: len(expected)]) == [tensor.data_ptr() for tensor in expected]
        calls.append((grid, values[len(expected) :]))
    assert calls[0] == calls[1]


def test_logits_that_were_saved_in_another_order_are_read_in_theirs(started: list[Any]) -> None:
    for _ in range(3):
        logits, *rest = batch(20, 3)
        logits = logits.transpose(0, 1).contiguous().transpose(0, 1)
        found = planned.forward(logits, *rest, **OPTIONS)
    steps = []
    for saved in (logits, logits, logits.contiguous(), logits.contiguous()):
        started.clear()
        planned.backward(saved, found.saved, found.plan, torch.ones(3), blank=0, mode=0)
        ((_, _, values),) = started
        steps.append(values[14:17])
    assert steps[0] == steps[1] == (9, 27, 1)
    assert steps[2] == steps[3] == (180, 9, 1)


def test_arguments_that_are_the_same_memory_are_never_planned(started: list[Any]) -> None:
    logits, targets, frame_counts, _ = batch(4, 4)
    for _ in range(4):
        assert planned.forward(logits, targets, frame_counts, frame_counts, **OPTIONS).plan is None


@pytest.mark.parametrize("other", [{"time": 21}, {"labels": 4}, {"rows": 4}, {"classes": 8}], ids=str)
def test_another_form_has_a_plan_of_its_own(started: list[Any], other: dict[str, int]) -> None:
    for _ in range(3):
        planned.forward(*batch(20, 3), **OPTIONS)
    assert planned.forward(*batch(**{"time": 20, "labels": 3, **other}), **OPTIONS).plan is None


@pytest.mark.parametrize("number", range(4), ids=["logits", "targets", "logit_lengths", "target_lengths"])
def test_another_type_or_alignment_has_a_plan_of_its_own(started: list[Any], number: int) -> None:
    for _ in range(3):
        planned.forward(*batch(20, 3), **OPTIONS)
    given = batch(20, 3)
    other = given[number].half() if number == 0 else given[number].int()
    assert planned.forward(*given[:number], other, *given[number + 1 :], **OPTIONS).plan is None
    shifted = given[number].new_empty(given[number].numel() + 1)[1:].view(given[number].shape)
    assert planned.forward(*given[:number], shifted, *given[number + 1 :], **OPTIONS).plan is None


@pytest.mark.parametrize(
    "changed", [{"blank": 1}, {"normalize": False}, {"infeasible": 1}, {"rounding": 0.1}, {"gradient": False}], ids=str
)
def test_other_options_have_a_plan_of_their_own(started: list[Any], changed: dict[str, Any]) -> None:
    for _ in range(3):
        planned.forward(*batch(20, 3), **OPTIONS)
    assert planned.forward(*batch(20, 3), **{**OPTIONS, **changed}).plan is None
