"""seqloss.numpy."""

from __future__ import annotations

import numpy as np


def frontend(
    logits: np.ndarray,
    targets: np.ndarray,
    logit_lengths: np.ndarray,
    target_lengths: np.ndarray,
    blank: int,
    upstream: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`seqloss.numpy.ctc_loss_and_grad` with logits."""
    from seqloss.numpy import ctc_loss_and_grad

    return ctc_loss_and_grad(logits, targets, logit_lengths, target_lengths, blank=blank, upstream=upstream)


def frontend_on_log_probs(
    logits: np.ndarray,
    targets: np.ndarray,
    logit_lengths: np.ndarray,
    target_lengths: np.ndarray,
    blank: int,
    upstream: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`seqloss.numpy.ctc_loss_and_grad` with log-probabilities."""
    from seqloss.numpy import ctc_loss_and_grad

    return ctc_loss_and_grad(
        logits, targets, logit_lengths, target_lengths, blank=blank, normalize=False, upstream=upstream
    )
