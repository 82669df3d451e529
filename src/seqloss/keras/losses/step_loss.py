"""What the Keras loss objects for losses of single steps share: real steps, weights of steps and Keras' reductions."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from keras import ops

from seqloss import contract
from seqloss.contract import WordReplacements, rename_arguments
from seqloss.errors import wrong_rank
from seqloss.keras._compat import keras_mask
from seqloss.keras.arrays import BackendTensor, FloatArray, IntegerArray
from seqloss.keras.ctc.shapes import rank, with_rank
from seqloss.keras.loss_object import LossObject
from seqloss.keras.losses.arrays import Mask, Numbers, as_tensor
from seqloss.keras.row_reduction import KerasReduction

NAMES = WordReplacements((("targets", "y_true"), ("logits", "y_pred"), ("predictions", "y_pred")))
"""The arguments of the functions in the words of Keras."""


class StepLoss(LossObject):
    """A loss with one number for each step; its mean is over real steps only.

    Args:
        reduction: Keras' reduction.
        name: name of the loss in logs.
        dtype: type of the result; float64 is computed in float64, all other types in float32.
    """

    def __call__(
        self,
        y_true: IntegerArray | Numbers,
        y_pred: FloatArray | Numbers,
        sample_weight: Numbers | float | None = None,
    ) -> BackendTensor:
        """Compute the reduced loss of a batch; Keras calls this in `fit` and `evaluate`.

        Args:
            y_true: targets, as the class says.
            y_pred: the model's output, as the class says. Its Keras mask is used, if it carries one.
            sample_weight: weights of rows, shape (batch,) or (batch, 1), or of steps, (batch, time), or one number;
                None for 1. A step with weight 0 counts as 0, even if its loss is inf.

        Returns:
            The reduced loss, a tensor of Keras' backend of type `dtype`: a scalar, or shape (batch, time) without a
            reduction. "sum_over_batch_size" and "mean" divide by the number of real steps, "mean_with_sample_weight" by
            the sum of their weights, each at least what avoids a division by 0.

        Raises:
            SeqLossError: as the function of the same name.
        """
        losses, real = self.steps(y_true, y_pred)
        kind = losses.dtype
        weights = ops.cast(real, kind)
        if sample_weight is not None:
            given = _weights_of_steps(ops.convert_to_tensor(sample_weight, kind), ops.shape(losses)[0])
            losses = ops.where(ops.equal(given, 0), 0.0, losses) * given  # 0 times inf is NaN
            weights = weights * given
        loss = self._reduce(losses, ops.cast(real, kind), weights)
        return loss if self.dtype in ("float32", "float64") else ops.cast(loss, self.dtype)

    def call(self, y_true: IntegerArray | Numbers, y_pred: FloatArray | Numbers) -> BackendTensor:
        """Compute the loss of each step, shape (batch, time); 0 in padding. Arguments and errors as in a call."""
        return self.steps(y_true, y_pred)[0]

    def steps(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Compute the loss of each step, and find which steps are real: two tensors of shape (batch, time)."""
        mask = keras_mask(y_pred)
        with rename_arguments(NAMES):
            y_pred = as_tensor("y_pred", y_pred)
            y_true = y_true if hasattr(y_true, "shape") else ops.convert_to_tensor(y_true)
            losses, real = self.losses_and_real_steps(y_true, self._computed(y_pred), mask)
            return losses, real

    @abstractmethod
    def losses_and_real_steps(self, y_true: Any, y_pred: Any, mask: Any) -> tuple[Any, Any]:
        """Do what `steps` does, given tensors and the Keras mask of y_pred, or None."""

    def _computed(self, values: Any) -> Any:
        return ops.cast(values, "float64" if self.dtype == "float64" else "float32")

    def _reduce(self, losses: Any, real: Any, weights: Any) -> Any:
        if self.reduction in (None, "none"):
            return losses
        total = ops.sum(losses)
        if self.reduction == "sum":
            return total
        if self.reduction == "mean_with_sample_weight":
            divisor = ops.sum(weights)
            total = total / ops.where(ops.equal(divisor, 0), 1.0, divisor)
        else:
            total = total / ops.maximum(ops.sum(real), 1.0)
        # a mean of one number is that number, scaled as Keras scales a mean when it trains on several devices
        return KerasReduction(self.name, "sum_over_batch_size", losses.dtype)(total, total)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"dtype": self.dtype}


def find_real_steps(y_true: Any, mask: Mask | None, padding: float | None) -> Any:
    """Which steps are real, bool (batch, time).

    Args:
        y_true: (batch, time, ...); a step is padding if all its entries are the padding.
        mask: the Keras mask of the predictions, or None.
        padding: a number, possibly NaN; None for no padding.
    """
    y_true = ops.convert_to_tensor(y_true)
    if padding is None:
        used = ops.ones_like(y_true, dtype="bool")
    else:
        used = ops.logical_not(ops.isnan(y_true)) if contract.is_nan(padding) else ops.not_equal(y_true, padding)
    axes = tuple(range(2, rank(y_true) or 2))
    real = ops.any(used, axis=axes) if axes else used
    if mask is None:
        return real
    known: Any = ops.cast(with_rank("y_pred's Keras mask", mask, "batch", "time"), "bool")
    if not contract.fits(tuple(known.shape), tuple(real.shape)):
        raise wrong_rank(
            "y_pred's Keras mask", known.shape, f"(batch, time) = {tuple(real.shape)}",
            "A layer that changes the number of steps passed on the mask of its input.",
        )  # fmt: skip
    return ops.logical_and(real, known)


def without_last_axis_of_one(x: Any, rank_without: int) -> Any:
    """Drop a last axis of size 1 that is one axis too many, as Keras' own losses do."""
    return ops.squeeze(x, axis=-1) if rank(x) == rank_without + 1 and x.shape[-1] == 1 else x


def _weights_of_steps(weights: Any, rows: Any) -> Any:
    """Weights in a shape that broadcasts to (batch, time).

    TensorFlow forgets their rank where `fit` got weights of rows and then weights of steps.
    """
    if rank(weights) is None:
        return ops.reshape(weights, (rows, -1))
    if rank(weights) == 0 or rank(weights) == 2:
        return weights
    if rank(weights) == 1:
        return weights[:, None]
    raise wrong_rank("sample_weight", weights.shape, "(batch,), (batch, 1) or (batch, time)")
