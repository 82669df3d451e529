"""`patch_torch_ctc`: PyTorch's own callers compute with seqloss, until it is restored."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import ctc_loss as imported_before

from seqloss.errors import LabelError, SeqLossWarning
from seqloss.torch import CTCLoss, functional, patch, patch_torch_ctc

TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 1]]), torch.tensor([7, 5]), torch.tensor([3, 2])
CALLS: dict[str, Callable[..., torch.Tensor]] = {
    "CTCLoss": lambda *args, **options: torch.nn.CTCLoss(**options)(*args),
    "functional": lambda *args, **options: torch.nn.functional.ctc_loss(*args, **options),
    "imported before": imported_before,
}


@pytest.fixture(autouse=True)
def patched_for_the_first_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    original = torch.ctc_loss
    monkeypatch.setattr(patch, "_warned", False)
    yield
    assert torch.ctc_loss is original


def leaf() -> torch.Tensor:
    values = np.random.default_rng(0).normal(size=(7, 2, 4))
    return torch.from_numpy(values).float().log_softmax(2).requires_grad_()


def is_patched() -> bool:
    """seqloss refuses a label that PyTorch reads past the row for."""
    try:
        torch.nn.CTCLoss()(leaf(), torch.tensor([[0], [1]]), FRAMES, torch.tensor([1, 1]))
    except LabelError:
        return True
    return False


def silent() -> Any:
    return warnings.catch_warnings(action="ignore")


@pytest.mark.parametrize("options", [{}, {"reduction": "none", "zero_infinity": True}, {"reduction": "sum"}], ids=str)
@pytest.mark.parametrize("name", CALLS)
def test_each_way_to_torchs_loss_gives_the_drop_ins_value_and_gradient(name: str, options: dict[str, Any]) -> None:
    x, y, z = leaf(), leaf(), leaf()
    args = (TARGETS, FRAMES, LABELS)
    theirs = CALLS[name](z, *args, **options)
    with silent(), patch_torch_ctc():
        found = CALLS[name](x, *args, **options)
    expected = CTCLoss(**options)(y, *args)
    assert torch.equal(found, expected)
    torch.testing.assert_close(found, theirs)
    for loss in (found, expected, theirs):
        loss.sum().backward()
    assert torch.equal(x.grad, y.grad)
    torch.testing.assert_close(x.grad, z.grad)


def test_it_is_undone_at_the_end_of_the_block_also_after_an_error() -> None:
    def fail_inside() -> None:
        with silent(), patch_torch_ctc():
            assert is_patched()
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert not is_patched()


def test_a_call_lasts_until_it_is_restored_and_restoring_twice_does_no_harm() -> None:
    with silent():
        first, second = patch_torch_ctc(), patch_torch_ctc()
    first.restore()
    first.restore()
    assert is_patched()
    second.restore()
    assert not is_patched()


def test_a_block_may_be_entered_again() -> None:
    with silent():
        patch = patch_torch_ctc()
    for _ in range(2):
        with patch:
            assert is_patched()
        assert not is_patched()


def test_it_is_refused_inside_a_compiled_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    with pytest.raises(RuntimeError, match="call it before the compiled function"):
        patch_torch_ctc()


def test_it_warns_at_its_first_call_alone() -> None:
    with pytest.warns(SeqLossWarning, match="compute with seqloss from now on"), patch_torch_ctc():
        pass
    with warnings.catch_warnings(action="error"), patch_torch_ctc():
        pass


def test_the_functional_drop_in_is_the_modules_loss() -> None:
    for reduction in ("none", "mean", "sum"):
        found = functional.ctc_loss(leaf(), TARGETS, FRAMES, LABELS, 0, reduction)
        assert torch.equal(found, CTCLoss(reduction=reduction)(leaf(), TARGETS, FRAMES, LABELS))


def test_a_compiled_program_takes_the_replacement() -> None:
    def loss(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.ctc_loss(x, TARGETS, FRAMES, LABELS)

    torch.compiler.reset()
    with silent(), patch_torch_ctc():
        found = torch.compile(loss, backend="aot_eager", fullgraph=True)(leaf())
    torch.compiler.reset()
    assert torch.equal(found, functional.ctc_loss(leaf(), TARGETS, FRAMES, LABELS))
