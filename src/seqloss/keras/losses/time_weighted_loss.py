"""Any loss of single steps, weighted by the step, for `model.compile`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from seqloss.contract import StepWeight, check_numbers, check_step_weight, form_of
from seqloss.errors import OptionError, wrong_rank
from seqloss.keras.arrays import BackendTensor
from seqloss.keras.ctc.shapes import rank
from seqloss.keras.losses.step_loss import StepLoss, find_real_steps, without_last_axis_of_one
from seqloss.keras.losses.time_weighted import time_weighted


@keras.saving.register_keras_serializable(package="seqloss", name="TimeWeighted")
class TimeWeighted(StepLoss):
    """Weight any loss of single steps by the step in `model.compile`: the end of a sequence counts more.

        loss[n, t] = w(s) per_step[n, t],        s = t - (first real step of row n) + 1

    The weight w is sqrt(s) ("sqrt"), s ("linear"), or exp(s - the row's last real step) ("exponential"), which is at
    most 1; or what a callable returns. Step 1 is the first real step of its own row. Later positions all count, also
    those that are not real: time passes in a hole of a mask.

    A step is real if its targets are not all `padding`, and if the Keras mask of `y_pred` keeps it; for a loss of
    seqloss that has a padding of its own, also if that says so. Other steps are replaced by zeros before `loss` sees
    them, so that they cannot become NaN. They have loss 0 and gradient exactly 0, and the mean is over real steps only,
    without the weights.

    The object is a `keras.losses.Loss` for `model.compile`. It can be saved with the model; a function or callable must
    be registered with Keras for that.

    Args:
        loss: the loss of each step: a `keras.losses.Loss`, whose own reduction is not used, a function of (y_true,
            y_pred), or a name that Keras knows. It returns shape (batch, time). Targets and outputs (batch, time) get a
            last axis of size 1, because Keras' own losses average over the last axis.
        reduction: Keras' reduction: "sum_over_batch_size" and "mean" (over real steps), "mean_with_sample_weight",
            "sum", or "none" or None for one loss per step.
        name: name of the loss in logs.
        dtype: type of the result: a name, or a policy, whose compute type is used; None for Keras' floatx. float64 is
            computed in float64, all other types in float32; a half type is the result of rounding at the end.
        weight: "sqrt", "linear", "exponential", or a callable. It gets the steps s, a floating tensor (batch, time),
            at least 1 also in padding, and returns their weights in a shape that broadcasts to (batch, time).
        padding: number that pads `y_true`, possibly NaN; None for no padding.

    Raises:
        OptionError: `reduction` or `dtype` is unknown, or `weight`, `padding` or `loss` is nothing of this kind.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import TimeWeighted
        >>> y_true = np.array([[1.0, 1.0, 1.0], [1.0, -9.0, -9.0]])
        >>> y_pred = np.zeros((2, 3), "float32")
        >>> loss = TimeWeighted(lambda y_true, y_pred: abs(y_true - y_pred), weight="linear", padding=-9)
        >>> float(loss(y_true, y_pred))  # (1 + 2 + 3 + 1) / 4
        1.75

            model.compile(optimizer="adam", loss=TimeWeighted("mse"))
            model.compile(optimizer="adam", loss=TimeWeighted(MaskedCrossEntropy(padding=0), weight="linear"))

    References:
        A. Jain, A. Singh, H. S. Koppula, S. Soh, A. Saxena: Recurrent neural networks for driver activity anticipation
            via sensory-fusion architecture. ICRA 2016 (the exponential weights).
    """

    def __init__(
        self,
        loss: str | keras.losses.Loss | Callable[[BackendTensor, BackendTensor], BackendTensor],
        reduction: str | None = "sum_over_batch_size",
        name: str = "time_weighted",
        dtype: str | keras.DTypePolicy | None = None,
        *,
        weight: StepWeight = "sqrt",
        padding: float | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        check_step_weight(weight)
        check_numbers((0, 0), form_of(np.float32, (0, 0)), None, None, padding)
        self.loss, self.weight, self.padding = loss, weight, padding
        self._function = _find_loss(loss)

    def losses_and_real_steps(self, y_true: Any, y_pred: Any, mask: Any) -> tuple[Any, Any]:
        y_true = ops.convert_to_tensor(y_true)
        real = find_real_steps(y_true, mask, self.padding)
        if isinstance(self._function, StepLoss):
            losses, own = self._function.losses_and_real_steps(y_true, y_pred, real)
            real = ops.logical_and(real, own)
        else:
            losses = self._losses(self._computed(_where(real, y_true)), _where(real, y_pred))
        return time_weighted(losses, mask=real, weight=self.weight, reduction="none"), real

    def _losses(self, y_true: Any, y_pred: Any) -> Any:
        if rank(y_pred) == 2:  # Keras' own losses average over the last axis
            y_pred = y_pred[:, :, None]
        if rank(y_true) == 2 and y_pred.shape[-1] == 1:
            y_true = y_true[:, :, None]
        function = self._function.call if isinstance(self._function, keras.losses.Loss) else self._function
        losses = without_last_axis_of_one(self._computed(function(y_true, y_pred)), 2)
        if rank(losses) not in (None, 2):
            raise wrong_rank("loss", losses.shape, "(batch, time)", "It must return one number for each step.")
        return losses

    def get_config(self) -> dict[str, Any]:
        own = {"loss": _serialized(self.loss), "weight": _serialized(self.weight), "padding": self.padding}
        return super().get_config() | own

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TimeWeighted:
        restored = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("loss", "weight")}
        return cls(**{**config, **restored})


def _find_loss(loss: Any) -> Callable[[Any, Any], Any]:
    """The loss that is given or named."""
    try:
        function = keras.losses.get(loss) if isinstance(loss, str) else loss
    except ValueError:  # no name that Keras knows
        function = None
    if not callable(function):
        raise OptionError(f"loss: expected a Keras loss, its name, or a function of (y_true, y_pred), found {loss!r}.")
    return function


def _serialized(value: Any) -> Any:
    return value if isinstance(value, str) else keras.saving.serialize_keras_object(value)


def _where(real: Any, values: Any) -> Any:
    """Values (batch, time, ...), with zeros where a step is not real."""
    for _ in range(2, rank(values) or 2):
        real = ops.expand_dims(real, -1)
    return ops.where(real, values, ops.zeros_like(values))
