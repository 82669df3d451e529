"""Replace PyTorch's CTC loss in code that cannot be edited."""

from __future__ import annotations

import warnings
from types import TracebackType
from typing import Any

import torch

from seqloss.errors import SeqLossWarning
from seqloss.torch import functional

_REDUCTIONS: tuple[functional.TorchReduction, ...] = ("none", "mean", "sum")
"""By the codes of torch.nn.modules.loss' enumeration."""

_original: Any = None
_patches = 0
_warned = False


class CTCPatch:
    """What `patch_torch_ctc` returns: a context manager, or an object whose `restore` undoes the replacement."""

    def __init__(self) -> None:
        self._active = False
        self._replace()

    def _replace(self) -> None:
        global _original, _patches
        if torch.ctc_loss is not _replacement:
            _original, torch.ctc_loss = torch.ctc_loss, _replacement
        _patches += 1
        self._active = True

    def restore(self) -> None:
        """Undo this call of `patch_torch_ctc`. PyTorch's own loss is back when all calls are undone."""
        global _patches
        if not self._active:
            return
        self._active = False
        _patches -= 1
        if not _patches and torch.ctc_loss is _replacement:
            torch.ctc_loss = _original

    def __enter__(self) -> CTCPatch:
        if not self._active:  # of an earlier `with` block
            self._replace()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()


def patch_torch_ctc() -> CTCPatch:
    """Replace the CTC loss of PyTorch by the one of seqloss, in the whole process.

    Use it for code that you cannot edit, for example the CTC models of Hugging Face transformers. It replaces
    `torch.ctc_loss`, which torch.nn.CTCLoss and torch.nn.functional.ctc_loss call. `seqloss.torch.CTCLoss` lists the
    differences. TorchScript keeps PyTorch's own loss. A program that torch.compile or torch.export has made keeps the
    loss that it was made with, also after `restore`.

    Returns:
        A context manager that restores PyTorch's loss at its end, and that has the method `restore`.

    Raises:
        RuntimeError: the call is inside a function that torch.compile compiles.

    Warns:
        SeqLossWarning: at the first call in a process.

    Example:
        >>> import torch, warnings
        >>> from seqloss.torch import patch_torch_ctc
        >>> log_probs = torch.zeros(2, 1, 3).log_softmax(2).requires_grad_()
        >>> with warnings.catch_warnings(action="ignore"), patch_torch_ctc():
        ...     loss = torch.nn.CTCLoss()(log_probs, torch.tensor([[1]]), [2], [1])
        >>> loss
        tensor(1.0986, grad_fn=<_LossesBackward>)
    """
    global _warned
    if torch.compiler.is_compiling():
        raise RuntimeError("patch_torch_ctc: call it before the compiled function, not inside of it.")
    patch = CTCPatch()
    if not _warned:
        _warned = True
        warnings.warn(
            "patch_torch_ctc: torch.nn.CTCLoss and torch.nn.functional.ctc_loss compute with seqloss from now on, in "
            "the whole process, until the patch is restored. (Shown once.)",
            SeqLossWarning,
            stacklevel=2,
        )
    return patch


def _replacement(
    log_probs: torch.Tensor, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0, reduction: int = 1,
    zero_infinity: bool = False,
) -> torch.Tensor:  # fmt: skip
    """`torch.ctc_loss`, whose reduction is a number."""
    if reduction not in range(len(_REDUCTIONS)):
        raise RuntimeError(f"reduction: found {reduction!r}, expected 0, 1 or 2, which are {', '.join(_REDUCTIONS)}.")
    return functional.ctc_loss(
        log_probs, targets, input_lengths, target_lengths, blank, _REDUCTIONS[reduction], zero_infinity
    )
