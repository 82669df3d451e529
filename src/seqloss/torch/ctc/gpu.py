"""What all uses of the Triton kernels share: codes, checks that do not wait for the device, and posteriors."""

from __future__ import annotations

import torch

from seqloss import contract
from seqloss.contract import Infeasible, Reduction
from seqloss.kernels.ctc.second_derivative import POSTERIOR
from seqloss.kernels.triton.ctc.residuals import Residuals
from seqloss.torch._compat import is_transformed
from seqloss.torch.arrays import log_softmax_rounding, unreachable_values
from seqloss.torch.ctc import device_arguments
from seqloss.torch.ctc.device_arguments import Given

INFEASIBLE_STATUS = 1
"""`seqloss.kernels.triton.ctc.loss.CLOSED`."""
INFEASIBLE: dict[str, int] = {"inf": 0, "zero": 1, "raise": 2}
"""`seqloss.kernels.triton.ctc.loss`' words for what a row without a path is."""


def compute_posteriors_on_gpu(
    name: str, logits: torch.Tensor, given: Given, *, normalize: bool, infeasible: Infeasible, validate: bool
) -> torch.Tensor:
    """The posteriors of all classes, float32 (batch, time, classes)."""
    from seqloss.kernels.triton.ctc import pipeline as ctc

    refuse(name, logits, given, normalize=normalize, infeasible=infeasible, validate=validate)
    logits = logits.detach().resolve_neg()
    found, residuals = ctc.forward(
        logits, *given[:3], blank=given.blank, normalize=normalize, infeasible=INFEASIBLE[infeasible],
        rounding=slack(logits, normalize, validate), gradient=True,
    )  # fmt: skip
    assert residuals is not None
    if infeasible == "raise":
        raise_if_infeasible(found.losses, logits, given, normalize)
    upstream = torch.full_like(found.losses, -1.0)
    return ctc.backward(logits, residuals, upstream, blank=given.blank, mode=POSTERIOR, dtype=torch.float32)


def zero_gradient(residuals: Residuals, time: int) -> torch.Tensor:
    """Where the gradient is 0 for any upstream gradient, bool (batch, time): unused frames, and rows without a path."""
    unused = torch.arange(time, device=residuals.frames.device) >= residuals.frames[:, None]
    return unused | (residuals.status == INFEASIBLE_STATUS)[:, None]


def counted(given: Given, reduction: Reduction) -> torch.Tensor | None:
    """What a reduction counts for labels where that is not the targets' lengths."""
    others = contract.DIVISORS[reduction].counts_labels and given.label_counts is not given.target_lengths
    return given.label_counts if others else None


def slack(logits: torch.Tensor, normalize: bool, validate: bool) -> float | None:
    """With what slack a frame's sum is looked at, if at all."""
    return log_softmax_rounding(logits.dtype) if validate and not normalize else None


def refuse(
    name: str, logits: torch.Tensor, given: Given, *, normalize: bool, infeasible: Infeasible, validate: bool
) -> None:
    """Raise for what the host can see beyond what labels and lengths are.

    Raises:
        InfeasibleError: too few frames for a row's labels, with infeasible="raise".
        NormalizationError: scores on the CPU that are no log-probabilities.
        RuntimeError: one of torch.func's transforms.
    """
    if is_transformed(logits):
        raise unreachable_values(name)
    if given.host is None:
        return
    if validate and not normalize and not device_arguments.hidden(logits):
        values = logits.detach().float().resolve_neg().numpy()
        contract.check_normalized(values, given.host.logit_lengths, log_softmax_rounding(logits.dtype))
    if infeasible == "raise":
        contract.refuse_too_few_frames(tuple(logits.shape), given.host)


def weighed(numbers: torch.Tensor, weight: float) -> torch.Tensor:
    """Their product, without a kernel for the weight 1."""
    return numbers if weight == 1.0 else numbers * weight


def raise_if_infeasible(found: torch.Tensor, logits: torch.Tensor, given: Given, normalize: bool) -> None:
    """Of the rows that are NaN for having no path, name the first, where that can be seen without a wait."""
    from seqloss.kernels.triton.ctc import pipeline as ctc

    if given.host is None or device_arguments.hidden(logits) or not bool(found.isnan().any()):
        return
    plain, _ = ctc.forward(logits.detach(), *given[:3], blank=given.blank, normalize=normalize, gradient=False)
    closed = plain.losses.isinf().nonzero()
    if len(closed):
        raise contract.infeasible_row(int(closed[0, 0]), given.host)
