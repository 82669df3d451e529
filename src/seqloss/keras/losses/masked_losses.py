"""Cross-entropy, squared and absolute error over real steps, for `model.compile`."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import keras
import numpy as np
from keras import ops

from seqloss.contract import check_classes, check_numbers, form_of
from seqloss.keras.ctc.labels import as_integers, is_floating, refuse_used_fractions
from seqloss.keras.ctc.shapes import rank
from seqloss.keras.losses.masked_cross_entropy import masked_cross_entropy
from seqloss.keras.losses.masked_error import masked_absolute_error, masked_squared_error
from seqloss.keras.losses.step_loss import StepLoss, find_real_steps, without_last_axis_of_one


@keras.saving.register_keras_serializable(package="seqloss", name="MaskedCrossEntropy")
class MaskedCrossEntropy(StepLoss):
    """Train a Keras model with the cross-entropy of the real steps of padded sequences.

        loss[n, t] = -sum_c q_c log p_c,        p = softmax(y_pred[n, t])
        q_c = (1 - label_smoothing) [c = y_true[n, t]] + label_smoothing / classes

    A step is real if its label is not `padding`, and if the Keras mask of `y_pred` keeps it (of Masking or
    Embedding(mask_zero=True)); without a mask, only the padding counts. Steps that are not real have loss 0 and
    gradient exactly 0, and the mean is over real steps only. `y_true` holds integers, or whole numbers as float32 or
    float64, shape (batch, time); `y_pred` holds scores before softmax, shape (batch, time, classes). A label of a real
    step that is no whole number, such as 1.5 or NaN, is a DTypeError where values are known, and gives NaN elsewhere.

    The object is a `keras.losses.Loss` for `model.compile`. It can be saved with the model.

    Args:
        reduction: Keras' reduction: "sum_over_batch_size" and "mean" (over real steps), "mean_with_sample_weight",
            "sum", or "none" or None for one loss per step.
        name: name of the loss in logs.
        dtype: type of the result: a name, or a policy, whose compute type is used; None for Keras' floatx. float64 is
            computed in float64, all other types in float32; a half type is the result of rounding at the end.
        padding: label that pads `y_true`, any integer of 32 bits, also one that is no class; None for no padding.
        label_smoothing: share of the label, from 0 to 1, that is spread evenly over all classes.

    Raises:
        OptionError: `reduction` or `dtype` is unknown, or `padding` or `label_smoothing` is no such number.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import MaskedCrossEntropy
        >>> y_true = np.array([[1, 2, 3], [0, -1, -1]])
        >>> round(float(MaskedCrossEntropy()(y_true, np.zeros((2, 3, 4), "float32"))), 4)  # log 4
        1.3863

            model.compile(optimizer="adam", loss=MaskedCrossEntropy(padding=0))

    References:
        C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna: Rethinking the Inception architecture for computer
            vision. CVPR 2016 (label smoothing).
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "masked_cross_entropy",
        dtype: str | keras.DTypePolicy | None = None,
        *,
        padding: int | None = -1,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction, name, dtype)
        check_classes((0, 0, 1), form_of(np.int64, (0, 0)), None, None, padding, label_smoothing)
        self.padding, self.label_smoothing = padding, label_smoothing

    def losses_and_real_steps(self, y_true: Any, y_pred: Any, mask: Any) -> tuple[Any, Any]:
        y_true = without_last_axis_of_one(y_true, 2)
        labels = ops.convert_to_tensor(as_integers("y_true", y_true))
        real = find_real_steps(y_true if is_floating(y_true) else labels, mask, self.padding)
        refuse_used_fractions("y_true", y_true, real)
        losses = masked_cross_entropy(y_pred, labels, mask=real, label_smoothing=self.label_smoothing, reduction="none")
        return losses, real

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"padding": self.padding, "label_smoothing": self.label_smoothing}


class _ErrorLoss(StepLoss):
    """The error of each step that a function returns, averaged over the step's features."""

    def __init__(
        self, reduction: str | None, name: str, dtype: str | keras.DTypePolicy | None, padding: float | None
    ) -> None:
        super().__init__(reduction, name, dtype)
        check_numbers((0, 0), form_of(np.float32, (0, 0)), None, None, padding)
        self.padding = padding

    def losses_and_real_steps(self, y_true: Any, y_pred: Any, mask: Any) -> tuple[Any, Any]:
        y_pred = without_last_axis_of_one(y_pred, rank(y_true) or 0)
        y_true = self._computed(ops.convert_to_tensor(y_true))
        real = find_real_steps(y_true, mask, self.padding)
        return self.error(y_pred, y_true, real), real

    @abstractmethod
    def error(self, y_pred: Any, y_true: Any, real: Any) -> Any:
        """The error of each step, (batch, time), 0 where it is not real."""

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"padding": self.padding}


@keras.saving.register_keras_serializable(package="seqloss", name="MaskedSquaredError")
class MaskedSquaredError(_ErrorLoss):
    """Train a Keras model with the squared error of the real steps of padded sequences.

        loss[n, t] = mean over features of (y_pred[n, t] - y_true[n, t])^2

    A step is real if its targets are not all `padding`, and if the Keras mask of `y_pred` keeps it (of Masking or
    Embedding(mask_zero=True)); what is not given excludes no step. Steps that are not real have loss 0 and gradient
    exactly 0, and the mean is over real steps only. `y_true` and `y_pred` have one shape, (batch, time) or (batch,
    time, ...); a last axis of size 1 that `y_pred` has in addition is dropped, as Keras does.

    The object is a `keras.losses.Loss` for `model.compile`. It can be saved with the model.

    Args:
        reduction: Keras' reduction: "sum_over_batch_size" and "mean" (over real steps), "mean_with_sample_weight",
            "sum", or "none" or None for one loss per step.
        name: name of the loss in logs.
        dtype: type of the result: a name, or a policy, whose compute type is used; None for Keras' floatx. float64 is
            computed in float64, all other types in float32; a half type is the result of rounding at the end.
        padding: number that pads `y_true`, possibly NaN; None for no padding.

    Raises:
        OptionError: `reduction` or `dtype` is unknown, or `padding` is no number.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import MaskedSquaredError
        >>> y_true = np.array([[0.0, 0.0, -9.0], [0.0, -9.0, -9.0]])
        >>> y_pred = np.array([[1.0, -2.0, 7.0], [3.0, 7.0, 7.0]])
        >>> round(float(MaskedSquaredError(padding=-9)(y_true, y_pred)), 4)  # (1 + 4 + 9) / 3
        4.6667
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "masked_squared_error",
        dtype: str | keras.DTypePolicy | None = None,
        *,
        padding: float | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, padding)

    def error(self, y_pred: Any, y_true: Any, real: Any) -> Any:
        return masked_squared_error(y_pred, y_true, mask=real, reduction="none")


@keras.saving.register_keras_serializable(package="seqloss", name="MaskedAbsoluteError")
class MaskedAbsoluteError(_ErrorLoss):
    """Train a Keras model with the absolute error of the real steps of padded sequences.

        loss[n, t] = mean over features of |y_pred[n, t] - y_true[n, t]|

    A step is real if its targets are not all `padding`, and if the Keras mask of `y_pred` keeps it (of Masking or
    Embedding(mask_zero=True)); what is not given excludes no step. Steps that are not real have loss 0 and gradient
    exactly 0, and the mean is over real steps only. `y_true` and `y_pred` have one shape, (batch, time) or (batch,
    time, ...); a last axis of size 1 that `y_pred` has in addition is dropped, as Keras does.

    The object is a `keras.losses.Loss` for `model.compile`. It can be saved with the model.

    Args:
        reduction: Keras' reduction: "sum_over_batch_size" and "mean" (over real steps), "mean_with_sample_weight",
            "sum", or "none" or None for one loss per step.
        name: name of the loss in logs.
        dtype: type of the result: a name, or a policy, whose compute type is used; None for Keras' floatx. float64 is
            computed in float64, all other types in float32; a half type is the result of rounding at the end.
        padding: number that pads `y_true`, possibly NaN; None for no padding.

    Raises:
        OptionError: `reduction` or `dtype` is unknown, or `padding` is no number.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import MaskedAbsoluteError
        >>> y_true = np.array([[0.0, 0.0, -9.0], [0.0, -9.0, -9.0]])
        >>> y_pred = np.array([[1.0, -2.0, 7.0], [3.0, 7.0, 7.0]])
        >>> round(float(MaskedAbsoluteError(padding=-9)(y_true, y_pred)), 4)  # (1 + 2 + 3) / 3
        2.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "masked_absolute_error",
        dtype: str | keras.DTypePolicy | None = None,
        *,
        padding: float | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype, padding)

    def error(self, y_pred: Any, y_true: Any, real: Any) -> Any:
        return masked_absolute_error(y_pred, y_true, mask=real, reduction="none")
