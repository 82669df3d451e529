"""The check that the frames in use of a batch hold probabilities."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from seqloss import contract
from seqloss.keras.losses.arrays import host_values, in_loss_type
from seqloss.numpy.arrays import log_softmax_rounding

ADVICE = " seqloss.keras.CTC takes scores and, with normalize=False, log-probabilities."
"""Where a row that holds no probabilities belongs."""


def refuse_bad_frames(y_pred: Any, frames: Any) -> None:
    """Raise an error for a frame in use that holds no probabilities, if the values can be read now.

    Args:
        y_pred: tensor (batch, time, classes), of a floating type.
        frames: number of frames in use of each row, (batch,).

    Raises:
        NormalizationError: names the frame and the likely cause.
    """
    known, counts = host_values(in_loss_type(y_pred)), host_values(keras.ops.convert_to_tensor(frames))
    if known is None or counts is None or counts.shape != known.shape[:1]:
        return
    rounding = log_softmax_rounding(keras.backend.standardize_dtype(y_pred.dtype))
    used = np.arange(known.shape[1]) < counts[:, None]  # (batch, time)
    checked = np.where(used[:, :, None], known, known.dtype.type(1 / max(1, known.shape[2])))
    contract.refuse_bad_probabilities("y_pred", checked, 2, rounding, ADVICE)
