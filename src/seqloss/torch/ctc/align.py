"""Which frames show which label."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import torch

from seqloss import contract
from seqloss.contract import Infeasible
from seqloss.numpy.ctc.align import align_batch
from seqloss.torch.arrays import read_host_arguments
from seqloss.torch.ctc import device_arguments
from seqloss.torch.ctc.device_arguments import read_device_arguments, runs_on_triton
from seqloss.torch.ctc.gpu import refuse, slack
from seqloss.torch.tracing import refuse_tracing, untraced


@dataclass(frozen=True)
class Alignment:
    """The best path of each row; what lies past a row's lengths, or has no path, is -1 (scores: 0).

    Attributes:
        classes: (batch, time) int64, the class of each frame.
        first: (batch, labels) int64, each label's first frame.
        last: (batch, labels) int64, each label's last frame.
        scores: (batch, labels), log probability of each label's frames, nats.
        total: (batch,), log probability of the path; -inf without one, NaN in a non-finite row.
    """

    classes: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    scores: torch.Tensor
    total: torch.Tensor


@untraced
def ctc_align(
    logits: torch.Tensor,
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    validate: bool = True,
) -> Alignment:
    """Find which frames show which label: the most probable path that reads as the target.

        argmax_{π: collapse(π) = target} Σ_t log p_t(π_t)

    Among equally probable paths the one whose label starts are lexicographically earliest, then whose spans are
    shortest, label by label; equal means equal in float64.

    Args: as `ctc_loss`; `infeasible="zero"` gives a total of 0 where "inf" gives -inf.

    Returns:
        the `Alignment` on the logits' device, without a graph; scores are float32, or float64 for float64 logits.

    Raises:
        as `ctc_loss`.

    Example:
        >>> import torch
        >>> from seqloss.torch import ctc_align
        >>> best = ctc_align(torch.zeros(1, 4, 3), torch.tensor([[1, 2]]))
        >>> best.classes.tolist(), best.first.tolist(), best.last.tolist()
        ([[1, 2, 0, 0]], [[0, 1]], [[0, 1]])

    References:
        A. Graves et al.: Connectionist temporal classification. ICML 2006, section 4, with maxima in place of sums.
    """
    contract.check_options(infeasible, "none", None)
    if runs_on_triton(logits):
        refuse_tracing("ctc_align", logits)
        return _on_the_device(logits, targets, logit_lengths, target_lengths, blank, normalize, infeasible, validate)
    values, batch = read_host_arguments(
        "ctc_align", logits, targets, logit_lengths, target_lengths, blank=blank, normalize=normalize,
        validate=validate,
    )  # fmt: skip
    found = align_batch(values, batch, normalize=normalize, infeasible=infeasible)
    return Alignment(*(torch.from_numpy(array).to(logits.device) for array in astuple(found)))


def _on_the_device(
    logits: torch.Tensor,
    targets: Any,
    logit_lengths: Any,
    target_lengths: Any,
    blank: int,
    normalize: bool,
    infeasible: Infeasible,
    validate: bool,
) -> Alignment:
    """By the Triton kernels; nothing waits for the device. What is "raise" where no host can look is NaN."""
    from seqloss.kernels.triton.ctc.align import best_paths

    given = read_device_arguments(logits, targets, logit_lengths, target_lengths, blank=blank, validate=validate)
    refuse("ctc_align", logits, given, normalize=normalize, infeasible=infeasible, validate=validate)
    found = best_paths(
        logits.detach().resolve_neg(), *given[:3], blank=given.blank, normalize=normalize,
        rounding=slack(logits, normalize, validate),
    )  # fmt: skip
    infeasible_rows = found.totals == -torch.inf
    if (
        infeasible == "raise"
        and given.host is not None
        and not device_arguments.hidden(logits)
        and bool(infeasible_rows.any())
    ):
        raise contract.infeasible_row(int(infeasible_rows.nonzero()[0, 0]), given.host)
    if infeasible != "inf":
        found.totals.masked_fill_(infeasible_rows, 0.0 if infeasible == "zero" else torch.nan)
    return Alignment(*found)
