"""Where in time each class stands."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from seqloss import contract
from seqloss.contract import Infeasible
from seqloss.numpy.ctc.rows import compute_rows
from seqloss.torch.arrays import read_host_arguments
from seqloss.torch.ctc import gpu
from seqloss.torch.ctc.device_arguments import read_device_arguments, runs_on_triton
from seqloss.torch.tracing import refuse_tracing, untraced


@untraced
def ctc_posteriors(
    logits: torch.Tensor,
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    validate: bool = True,
) -> torch.Tensor:
    """See where in time a target stands in a network's output: the probability, given it, of each class in each frame.

        posterior[t, c] = sum_{paths pi of the target, pi_t = c} prod p(pi) / sum_{paths pi of the target} prod p(pi)

    Args: as `ctc_loss`.

    Returns:
        (batch, time, classes), float32, or float64 for float64 logits, on the logits' device, without a graph. A frame
        in use adds up to 1, or is NaN where its row holds a NaN or +inf; a row that no path fits, and frames past a
        row's length, are all 0.

    Raises:
        as `ctc_loss`.

    Example:
        >>> import torch
        >>> from seqloss.torch import ctc_posteriors
        >>> ctc_posteriors(torch.zeros(1, 2, 2), torch.tensor([[1]]))  # three paths: 11, 01, 10
        tensor([[[0.3333, 0.6667],
                 [0.3333, 0.6667]]])

    References:
        A. Graves et al.: Connectionist temporal classification. ICML 2006, section 4.
    """
    contract.check_options(infeasible, "none", None)
    if runs_on_triton(logits):
        refuse_tracing("ctc_posteriors", logits)
        given = read_device_arguments(logits, targets, logit_lengths, target_lengths, blank=blank, validate=validate)
        return gpu.compute_posteriors_on_gpu(
            "ctc_posteriors", logits, given, normalize=normalize, infeasible=infeasible, validate=validate
        )
    values, batch = read_host_arguments(
        "ctc_posteriors", logits, targets, logit_lengths, target_lengths, blank=blank, normalize=normalize,
        validate=validate,
    )  # fmt: skip
    rows = compute_rows(values, batch, normalize=normalize, softmax=False, infeasible=infeasible)
    assert rows.gradient is not None
    return torch.from_numpy(np.abs(rows.gradient)).to(logits.device)  # minus the posterior, and no -0.0
