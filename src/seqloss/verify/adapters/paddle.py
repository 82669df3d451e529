"""PaddlePaddle's CTC, which has warp-ctc within."""

from __future__ import annotations

import numpy as np


def loss(
    logits: np.ndarray,
    targets: np.ndarray,
    logit_lengths: np.ndarray,
    target_lengths: np.ndarray,
    blank: int,
    upstream: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`paddle.nn.functional.ctc_loss`, whose log_probs are scores before softmax: it takes the softmax itself."""
    import paddle

    paddle.set_device("cpu")
    x = paddle.to_tensor(logits, stop_gradient=False)
    losses = paddle.nn.functional.ctc_loss(
        x.transpose([1, 0, 2]),
        paddle.to_tensor(targets.astype(np.int32)),
        paddle.to_tensor(logit_lengths),
        paddle.to_tensor(target_lengths),
        blank=blank,
        reduction="none",
    )
    weights = np.ones(len(logits)) if upstream is None else upstream
    seed = paddle.to_tensor(weights.astype(logits.dtype)).reshape(losses.shape)
    (gradient,) = paddle.grad([losses], [x], grad_outputs=[seed])
    return losses.numpy().reshape(len(logits)), gradient.numpy()
