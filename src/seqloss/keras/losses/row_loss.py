"""What the Keras loss objects with one loss for each row share: y_true holds labels, y_pred a point for each row."""

from __future__ import annotations

from typing import Any, ClassVar

from keras import ops

from seqloss.contract import rename_arguments
from seqloss.contract.argument_names import WordReplacements
from seqloss.keras.arrays import BackendTensor, Labels, Points, RowWeights
from seqloss.keras.ctc.shapes import is_half, with_rank
from seqloss.keras.loss_object import LossObject
from seqloss.keras.losses.arrays import as_tensor
from seqloss.keras.row_reduction import reduce_rows

NAMES = WordReplacements(
    (
        ("embeddings", "y_pred"),
        ("points:", "y_pred:"),
        ("row of points", "row of y_pred"),
        ("labels:", "y_true:"),
    )
)
"""The arguments of the functions in the words of Keras."""


class RowLoss(LossObject):
    """A loss of the rows of a batch, by their labels.

    Attributes:
        OPTIONS: the arguments of a class beside those of every Keras loss.
    """

    OPTIONS: ClassVar[tuple[str, ...]]

    def __call__(self, y_true: Labels, y_pred: Points, sample_weight: RowWeights | None = None) -> BackendTensor:
        """Compute the reduced loss of a batch; Keras calls this in `fit` and `evaluate`.

        Unlike `keras.losses.Loss.__call__` it does not cast `y_true` to the type of the loss.
        """
        losses = self.call(y_true, y_pred)
        return reduce_rows(self, losses, sample_weight, self._computed_in(), "There is one loss for each row.")

    def _computed_in(self) -> str:
        return "float64" if self.dtype == "float64" else "float32"

    def _prepare(self, y_pred: Any) -> Any:
        """A tensor of known rank in the type of the computation; a half type stays, for the rounding of its sums."""
        with rename_arguments(NAMES):
            y_pred = as_tensor("y_pred", y_pred)
        y_pred = with_rank("y_pred", y_pred, "batch", "features")
        return y_pred if is_half(y_pred) else ops.cast(y_pred, self._computed_in())

    def _symbolic(self, y_pred: Any) -> Any:
        """A tensor of the losses' shape and type, which is all that Keras needs while it builds a model."""
        return ops.cast(ops.sum(y_pred, axis=1), self._computed_in())

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"dtype": self.dtype} | {name: getattr(self, name) for name in self.OPTIONS}
