"""CTC of TensorFlow; and the adapter for any loss on TensorFlow, with a tape and optionally a graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from seqloss.verify.adapters.types import Adapter, Loss


def make_adapter(loss: Loss, graph: bool = True) -> Adapter:
    """Turn a loss of tensors into a function of arrays that also returns the gradient of a tape.

    Args:
        loss: takes logits, targets and both lengths as tensors, and the blank as a number; returns losses (batch,).
        graph: trace a graph once, for all shapes; else run eagerly.
    """

    def adapter(
        logits: np.ndarray,
        targets: np.ndarray,
        logit_lengths: np.ndarray,
        target_lengths: np.ndarray,
        blank: int,
        upstream: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        import tensorflow as tf

        weights = np.ones(len(logits)) if upstream is None else upstream
        given = [tf.convert_to_tensor(a) for a in (logits, targets, logit_lengths, target_lengths, weights)]
        run = _graph(loss, blank, given[0].dtype, given[1].dtype) if graph else _eager(loss, blank)
        losses, gradient = run(*given)
        return losses.numpy(), gradient.numpy()

    return adapter


def _eager(loss: Loss, blank: int) -> Callable[..., Any]:
    import tensorflow as tf

    def run(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, weights: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            losses = loss(x, targets, logit_lengths, target_lengths, blank)
        return losses, tape.gradient(losses, x, output_gradients=tf.cast(weights, losses.dtype))

    return run


@cache
def _graph(loss: Loss, blank: int, dtype: Any, integers: Any) -> Callable[..., Any]:
    import tensorflow as tf

    shapes = [(dtype, 3), (integers, 2), (integers, 1), (integers, 1), (tf.float64, 1)]
    signature = [tf.TensorSpec([None] * axes, kind) for kind, axes in shapes]
    return tf.function(_eager(loss, blank), input_signature=signature)


def _native(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    import tensorflow as tf

    return tf.nn.ctc_loss(targets, x, target_lengths, logit_lengths, logits_time_major=False, blank_index=blank)


native = make_adapter(_native)
