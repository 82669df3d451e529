"""What benchmarks/ctc.py measures: loss and gradient, and losses alone, by seqloss and by its peers."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
import optax
import torch

import seqloss.jax
import seqloss.numpy
import seqloss.torch
from seqloss import contract
from seqloss.kernels.ctc.batch import loss_and_grad

Call = Callable[[], np.ndarray]


def whole_lengths(scores: np.ndarray, targets: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The lengths of rows that use all frames and labels."""
    return tuple(torch.full((len(array),), array.shape[1]) for array in (scores, targets))


def torch_loss_and_grad(scores: np.ndarray, targets: np.ndarray) -> Call:
    logits = torch.tensor(scores, requires_grad=True)
    labels = torch.tensor(targets)
    lengths = whole_lengths(scores, targets)

    def call() -> np.ndarray:
        logits.grad = None
        log_probs = logits.log_softmax(-1).transpose(0, 1)
        torch.nn.functional.ctc_loss(log_probs, labels, *lengths, reduction="none").sum().backward()
        return logits.grad.numpy()

    return call


def kernel(scores: np.ndarray, targets: np.ndarray) -> Call:
    batch = contract.validate(scores.shape, targets)
    return lambda: loss_and_grad(scores, batch)[2]


def torch_frontend(scores: np.ndarray, targets: np.ndarray) -> Call:
    logits, labels = torch.tensor(scores, requires_grad=True), torch.tensor(targets)

    def call() -> np.ndarray:
        logits.grad = None
        seqloss.torch.ctc_loss(logits, labels, reduction="sum").backward()
        return logits.grad.numpy()

    return call


def torch_drop_in(scores: np.ndarray, targets: np.ndarray) -> Call:
    """As `torch_loss_and_grad`, with one import changed."""
    logits, labels = torch.tensor(scores, requires_grad=True), torch.tensor(targets)
    loss = seqloss.torch.CTCLoss(reduction="sum")
    lengths = whole_lengths(scores, targets)

    def call() -> np.ndarray:
        logits.grad = None
        loss(logits.log_softmax(-1).transpose(0, 1), labels, *lengths).backward()
        return logits.grad.numpy()

    return call


def forward_only(loss: Callable[..., torch.Tensor], time_first: bool) -> Callable[[np.ndarray, np.ndarray], Call]:
    """The losses of log-probabilities without a gradient."""

    def contestant(scores: np.ndarray, targets: np.ndarray) -> Call:
        log_probs = torch.tensor(scores).log_softmax(-1)
        log_probs = log_probs.transpose(0, 1).contiguous() if time_first else log_probs
        lengths = whole_lengths(scores, targets)
        labels = torch.tensor(targets)

        def call() -> np.ndarray:
            with torch.no_grad():
                return loss(log_probs, labels, *lengths, reduction="none").numpy()

        return call

    return contestant


FORWARD = {
    "seqloss.torch": forward_only(seqloss.torch.ctc_loss, False),
    "seqloss.torch.functional": forward_only(seqloss.torch.functional.ctc_loss, True),
    "torch": forward_only(torch.nn.functional.ctc_loss, True),
}
"""Forward only: our loss, the drop-in, and torch's."""


def numpy_frontend(scores: np.ndarray, targets: np.ndarray) -> Call:
    return lambda: seqloss.numpy.ctc_loss_and_grad(scores, targets)[1]


def jitted(loss: Callable[..., jax.Array], *arrays: np.ndarray) -> Call:
    """Value and gradient of the summed loss, compiled before anything is timed."""
    given = [jax.numpy.asarray(array) for array in arrays]
    compiled = jax.jit(jax.value_and_grad(lambda *args: loss(*args).sum())).lower(*given).compile()
    return lambda: np.asarray(jax.block_until_ready(compiled(*given))[1])


def jax_frontend(scores: np.ndarray, targets: np.ndarray) -> Call:
    return jitted(seqloss.jax.ctc_loss, scores, targets)


def keras_frontend(scores: np.ndarray, targets: np.ndarray) -> Call:
    import seqloss.keras

    return jitted(seqloss.keras.ctc_loss, scores, targets)


def optax_loss_and_grad(scores: np.ndarray, targets: np.ndarray) -> Call:
    frames, labels = (np.zeros(array.shape[:2], np.float32) for array in (scores, targets))
    return jitted(lambda x, t: optax.ctc_loss(x, frames, t, labels), scores, targets)


def keras_loss_and_grad(scores: np.ndarray, targets: np.ndarray) -> Call:
    """Keras' own on its JAX backend, compiled."""
    from keras import ops

    lengths = [np.full(len(scores), array.shape[1], np.int32) for array in (targets, scores)]
    return jitted(lambda x, t: ops.ctc_loss(t, x, *lengths, mask_index=0), scores, targets)


def tensorflow_loss_and_grad(scores: np.ndarray, targets: np.ndarray) -> Call:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    logits, labels = tf.constant(scores.transpose(1, 0, 2)), tf.constant(targets, tf.int32)
    lengths = [tf.fill([len(scores)], array.shape[1]) for array in (targets, scores)]

    @tf.function
    def gradient() -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = tf.nn.ctc_loss(labels, logits, *lengths, blank_index=0)
        return tape.gradient(loss, logits)

    return lambda: gradient().numpy().transpose(1, 0, 2)


def softmax(scores: np.ndarray, targets: np.ndarray) -> Call:
    logits = torch.tensor(scores)
    return lambda: torch.softmax(logits, -1).numpy()


CONTESTANTS = {
    "seqloss kernel": kernel,
    "seqloss.numpy": numpy_frontend,
    "seqloss.torch": torch_frontend,
    "seqloss.torch.CTCLoss": torch_drop_in,
    "seqloss.jax": jax_frontend,
    "seqloss.keras (JAX)": keras_frontend,
    "torch": torch_loss_and_grad,
    "optax (jit)": optax_loss_and_grad,
    "Keras (JAX, jit)": keras_loss_and_grad,
    "tf.nn (graph)": tensorflow_loss_and_grad,
    "torch.softmax": softmax,
}
