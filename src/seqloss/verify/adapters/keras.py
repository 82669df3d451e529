"""CTC of Keras, and seqloss.keras, on the backend in KERAS_BACKEND."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqloss.verify.adapters.types import Adapter, Loss


def make_adapter(loss: Loss, graph: bool = True) -> Adapter:
    """Turn a loss of backend tensors into a function of arrays that also returns the gradient of the backend.

    Args:
        loss: takes logits, targets and both lengths as tensors, and the blank as a number; returns losses (batch,).
        graph: on TensorFlow, trace a graph.
    """

    def adapter(
        logits: np.ndarray,
        targets: np.ndarray,
        logit_lengths: np.ndarray,
        target_lengths: np.ndarray,
        blank: int,
        upstream: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        return _on_backend(loss, graph)(logits, targets, logit_lengths, target_lengths, blank, upstream)

    return adapter


def _on_backend(loss: Loss, graph: bool) -> Adapter:
    import keras

    from seqloss.verify.adapters import jax, tensorflow, torch

    backends = {
        "torch": lambda: torch.make_adapter(loss),
        "jax": lambda: jax.make_adapter(loss),
        "tensorflow": lambda: tensorflow.make_adapter(loss, graph),
    }
    return backends[keras.config.backend()]()


def _operation(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    import keras

    return keras.ops.ctc_loss(targets, x, target_lengths, logit_lengths, mask_index=blank)


def _loss(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    import keras

    return keras.losses.CTC(reduction=None)(targets, x)


_graded_loss = make_adapter(_loss)


def loss(
    logits: np.ndarray,
    targets: np.ndarray,
    logit_lengths: np.ndarray,
    target_lengths: np.ndarray,
    blank: int,
    upstream: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`keras.losses.CTC`, whose targets are padded with 0."""
    inside = np.arange(targets.shape[1]) < target_lengths[:, None]
    targets = np.where(inside, targets, 0)
    return _graded_loss(logits, targets, logit_lengths, target_lengths, blank, upstream)


def _batch_cost(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    """After a softmax: it takes probabilities."""
    import tensorflow as tf

    from seqloss.verify.adapters._compat import keras_2_batch_cost

    return keras_2_batch_cost(targets, tf.nn.softmax(x), logit_lengths[:, None], target_lengths[:, None])[:, 0]


def _frontend(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    from seqloss.keras import ctc_loss

    return ctc_loss(x, targets, logit_lengths, target_lengths, blank=blank)


def _drop_in(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    """With packed lengths, as from `seqloss.keras.pack`."""
    import keras

    from seqloss.keras import CTC

    lengths = keras.ops.stack([target_lengths, logit_lengths], axis=1)
    y_true = keras.ops.concatenate([lengths, targets], axis=1)
    dtype = keras.backend.standardize_dtype(x.dtype)
    ctc = CTC(blank=blank, target_lengths="packed", logit_lengths="packed", reduction=None, dtype=dtype)
    return ctc(y_true, x)


def _drop_in_batch_cost(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    import keras

    from seqloss.keras import ctc_batch_cost

    columns = logit_lengths[:, None], target_lengths[:, None]
    return ctc_batch_cost(targets, keras.ops.softmax(x), *columns, infeasible="inf")[:, 0]


operation = make_adapter(_operation)
batch_cost = make_adapter(_batch_cost, graph=False)
frontend = make_adapter(_frontend, graph=False)
drop_in = make_adapter(_drop_in, graph=False)
drop_in_batch_cost = make_adapter(_drop_in_batch_cost, graph=False)
