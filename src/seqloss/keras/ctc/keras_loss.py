"""The CTC loss for `model.compile`."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import keras
from keras import ops

from seqloss import contract
from seqloss.contract import Infeasible, rename_arguments
from seqloss.errors import MOVE_BLANK, TRUE_LENGTHS, OptionError, ShapeError, unknown_option, wrong_rank
from seqloss.keras._compat import in_symbolic_scope, keras_mask
from seqloss.keras.arrays import BackendTensor, FloatArray, IntegerArray, RowWeights
from seqloss.keras.ctc import lengths
from seqloss.keras.ctc.argument_names import KerasNames
from seqloss.keras.ctc.labels import as_integers, is_floating, refuse_fractions
from seqloss.keras.ctc.loss import as_tensor, ctc_loss, symbolic_loss
from seqloss.keras.ctc.shapes import is_half, with_rank
from seqloss.keras.loss_object import LossObject
from seqloss.keras.row_reduction import reduce_rows

TargetLengths: TypeAlias = Literal["padding", "end", "packed"]
LogitLengths: TypeAlias = Literal["all", "end", "packed", "predicted", "mask"]


@keras.saving.register_keras_serializable(package="seqloss", name="CTC")
class CTC(LossObject):
    """Train a Keras model with the CTC loss, with the real lengths of labels and frames.

        loss = -log sum_{paths pi of the target} prod_t p_t(pi_t),        p_t = softmax(y_pred[t])

    `CTC()` equals `keras.losses.CTC()`: the blank is class 0, `y_true` is padded with 0, and all frames are in use.
    Options set where a row ends:

    | `target_lengths` | end of a row of `y_true` |
    | --- | --- |
    | `"padding"` | after its last entry that is not `padding` (any number; None: no padding) |
    | `"end"` | at its first class `end`, which is a label too; without one, as with "padding" |
    | `"packed"` | `y_true` begins with a column of lengths, see `seqloss.keras.pack` |

    | `logit_lengths` | end of a row of `y_pred` |
    | --- | --- |
    | `"all"` | the last frame |
    | `"end"` | the first frame whose most probable class is `end`, else the last frame |
    | `"packed"` | the next column of `y_true` (the first column, unless that holds target lengths) |
    | `"predicted"` | predicted by the model: y_pred[:, 0, 0], rounded; the scores begin at step 1 |
    | `"mask"` | masked frames are left out at any position (Masking, Embedding(mask_zero=True)) |

    "end" and "predicted" never give a row fewer frames than its labels and adjacent repeats need, so that an untrained
    model can learn. Lengths that are passed to a call, `loss(y_true, y_pred, logit_lengths=..., target_lengths=...)`,
    replace these options.

    The object is a `keras.losses.Loss` for `model.compile`. It can be saved with the model.

    Args:
        reduction: Keras' reduction: "sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", or "none" or None
            for one loss per row. A row with weight 0 counts as 0, even if its loss is inf.
        name: name of the loss in logs.
        dtype: type of the result: a name, or a policy, whose compute type is used; None for Keras' floatx. float64 is
            computed in float64 (on JAX with jax_enable_x64), all other types in float32; a half type is the result of
            rounding at the end. On PyTorch, Keras' mean of float64 is float32; its sum is float64.
        blank: class index of the blank; a negative index counts from the last class.
        padding: number that pads `y_true`, for target_lengths="padding" and "end"; None for no padding. "auto" is 0,
            the blank; with another blank, class 0 is a label, and the number must be given.
        end: class index of the end-of-sequence label. If it is given, both lengths default to "end".
        target_lengths: see the first table; None for "padding", or "end" if `end` is given.
        logit_lengths: see the second table; None for "all", or "end" if `end` is given.
        infeasible: result for a row without a path of positive probability: "inf" (loss inf, gradient 0), "zero" (loss
            0, gradient 0) or "raise" (an InfeasibleError).
        normalize: True applies log-softmax over the classes. False takes y_pred as log-probabilities.
        validate: True checks labels and lengths and, with normalize=False, that no frame has a total probability above
            1. False skips these checks. A row with an invalid label or length is then NaN; with normalize=False, scores
            whose probabilities add up to more than 1 give a number without meaning, possibly below 0.

    Raises:
        OptionError: an option is unknown, or options exclude each other; or `padding` is no number, or is not given
            although `blank` is not 0 and the ends of labels come from the padding.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import CTC
        >>> y_true = np.array([[1, 2, -1, -1], [2, 1, 1, -1]])
        >>> y_pred = np.zeros((2, 5, 3), "float32")
        >>> round(float(CTC(padding=-1)(y_true, y_pred)), 4)
        2.7424

            model.compile(optimizer="adam", loss=CTC(padding=-1))
            model.compile(optimizer="adam", loss=CTC(target_lengths="packed", logit_lengths="packed"))
            model.fit(x, pack(labels, logit_lengths=frames))

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "ctc",
        dtype: str | keras.DTypePolicy | None = None,
        *,
        blank: int = 0,
        padding: float | Literal["auto"] | None = "auto",
        end: int | None = None,
        target_lengths: TargetLengths | None = None,
        logit_lengths: LogitLengths | None = None,
        infeasible: Infeasible = "inf",
        normalize: bool = True,
        validate: bool = True,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.blank, self.end = blank, end
        self.target_lengths = target_lengths or ("padding" if end is None else "end")
        self.logit_lengths = logit_lengths or ("all" if end is None else "end")
        self.infeasible, self.normalize, self.validate = infeasible, normalize, validate
        self.padding = self._choose_padding(padding)
        self._check_options()

    def __call__(
        self,
        y_true: IntegerArray,
        y_pred: FloatArray,
        sample_weight: RowWeights | None = None,
        *,
        logit_lengths: IntegerArray | None = None,
        target_lengths: IntegerArray | None = None,
    ) -> BackendTensor:
        """Compute the reduced loss of a batch; Keras calls this in `fit` and `evaluate`.

        Unlike `keras.losses.Loss.__call__` it does not cast `y_true` to the type of the loss, and does not take a mask
        over frames for weights of rows.

        In `fit` on TensorFlow and JAX values are known at run time only. Then the framework raises its own error with
        the same text. Values on a GPU, and all values under TensorFlow's jit_compile=True, are not checked: an invalid
        row gives NaN, and with infeasible="raise" a row without a path gives NaN. `ctc_check` reports the reason.

        Args:
            y_true: labels, shape (batch, labels), integers, or whole numbers as float32 or float64; with "packed"
                lengths, columns of lengths come first.
            y_pred: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32
                or float64.
            sample_weight: weights of the rows, shape (batch,) or (batch, 1), or one number; None for 1.
            logit_lengths: number of frames in use of each row, integers, shape (batch,); None for what the option of
                this name gives.
            target_lengths: number of labels in use of each row, integers, shape (batch,); None for what the option of
                this name gives.

        Returns:
            The reduced loss in nats, a tensor of Keras' backend of type `dtype`: a scalar, or shape (batch,) without a
            reduction.

        Raises:
            ShapeError: an argument or a Keras mask has the wrong rank or size.
            DTypeError: an argument has an unsupported element type, or a label in use is not a whole number.
            LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
            LengthError: a length is negative or larger than its axis.
            NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
            InfeasibleError: with infeasible="raise", a row has no path of positive probability.
            OptionError: logit_lengths is "mask" and y_pred has no Keras mask, or it is "all" and y_pred has one.

        Example:
            >>> import numpy as np
            >>> from seqloss.keras import CTC
            >>> loss = CTC()(np.array([[1]]), np.zeros((1, 4, 3), "float32"), logit_lengths=np.array([2]))
            >>> round(float(loss), 4)  # two frames are in use; three of nine paths leave [1]: log 3
            1.0986
        """
        losses = self.call(y_true, y_pred, logit_lengths, target_lengths)
        return reduce_rows(self, losses, sample_weight, self._computed_in(), "CTC has one loss for each row.")

    def call(
        self,
        y_true: IntegerArray,
        y_pred: FloatArray,
        logit_lengths: IntegerArray | None = None,
        target_lengths: IntegerArray | None = None,
    ) -> BackendTensor:
        """Compute the loss of each row.

        In `fit` on TensorFlow and JAX values are known at run time only. Then the framework raises its own error with
        the same text. Values on a GPU, and all values under TensorFlow's jit_compile=True, are not checked: an invalid
        row gives NaN, and with infeasible="raise" a row without a path gives NaN. `ctc_check` reports the reason.

        Args:
            y_true: labels, shape (batch, labels), integers, or whole numbers as float32 or float64; with "packed"
                lengths, columns of lengths come first.
            y_pred: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32
                or float64.
            logit_lengths: number of frames in use of each row, integers, shape (batch,); None for what the option of
                this name gives.
            target_lengths: number of labels in use of each row, integers, shape (batch,); None for what the option of
                this name gives.

        Returns:
            The loss of each row in nats, a tensor of Keras' backend, shape (batch,); float32, or float64 with
            dtype="float64".

        Raises:
            ShapeError: an argument or a Keras mask has the wrong rank or size.
            DTypeError: an argument has an unsupported element type, or a label in use is not a whole number.
            LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
            LengthError: a length is negative or larger than its axis.
            NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
            InfeasibleError: with infeasible="raise", a row has no path of positive probability.
            OptionError: logit_lengths is "mask" and y_pred has no Keras mask, or it is "all" and y_pred has one.

        Example:
            >>> import numpy as np
            >>> from seqloss.keras import CTC
            >>> losses = CTC().call(np.array([[1], [2]]), np.zeros((2, 2, 3), "float32"))
            >>> [round(float(loss), 4) for loss in losses]
            [1.0986, 1.0986]
        """
        if in_symbolic_scope():
            return symbolic_loss(as_tensor(y_pred), "none")
        names = self._argument_names(logit_lengths, target_lengths)
        y_true = y_true if hasattr(y_true, "shape") else ops.convert_to_tensor(y_true)
        mask, packed = keras_mask(y_pred), self._packed_columns()
        y_true = with_rank("y_true", y_true, "batch", "labels")
        with rename_arguments(names):
            y_pred = as_tensor(y_pred)
        y_pred = with_rank("y_pred", y_pred, "batch", "time", "classes")
        mask = mask if mask is None else with_rank("y_pred's Keras mask", mask, "batch", "time")
        self._check_form(y_true, y_pred, mask, packed)
        with rename_arguments(names):
            return self._losses(y_true, self._cast(y_pred), mask, logit_lengths, target_lengths)

    def _losses(self, y_true: Any, y_pred: Any, mask: Any, logit_lengths: Any, target_lengths: Any) -> Any:
        packed = self._packed_columns()
        columns, labels = as_integers("y_true", y_true[:, :packed]), y_true[:, packed:]
        targets = as_integers("y_true", labels)
        if target_lengths is None:
            target_lengths = self._ends_of_labels(labels, targets, columns)
        refuse_fractions("y_true", labels, target_lengths)
        if self.logit_lengths == "predicted":
            predicted, y_pred = y_pred[:, 0, 0], y_pred[:, 1:]
            columns = ops.cast(predicted, self._computed_in())[:, None]  # a half type lacks some numbers
        lost = logit_lengths is None and self.logit_lengths == "predicted"
        if logit_lengths is None:
            y_pred, logit_lengths = self._ends_of_frames(y_pred, mask, columns, targets, target_lengths)
        losses = ctc_loss(
            y_pred,
            targets,
            logit_lengths,
            target_lengths,
            blank=self.blank,
            normalize=self.normalize,
            infeasible=self.infeasible,
            validate=self.validate,
        )
        return ops.where(ops.isnan(columns[:, 0]), float("nan"), losses) if lost else losses

    def _packed_columns(self) -> int:
        """Return the number of columns of `y_true` that are lengths."""
        return (self.target_lengths == "packed") + (self.logit_lengths == "packed")

    def _computed_in(self) -> str:
        return "float64" if self.dtype == "float64" else "float32"

    def _cast(self, y_pred: Any) -> Any:
        """Cast to the type of the computation; log-probabilities of a half type stay, for the slack of their sums."""
        return y_pred if is_half(y_pred) and not self.normalize else ops.cast(y_pred, self._computed_in())

    def _argument_names(self, logit_lengths: Any, target_lengths: Any) -> KerasNames:
        """Return the argument names for error messages; lengths that were passed to the call keep their names."""
        packed = self._packed_columns()
        labels = 0 if self.target_lengths == "packed" and target_lengths is None else "target_lengths"
        frames = packed - 1 if self.logit_lengths == "packed" and logit_lengths is None else "logit_lengths"
        lengths_of_labels, padding, pads = TRUE_LENGTHS, None, ""
        if target_lengths is None and self.target_lengths == "packed":
            lengths_of_labels = "give the number of labels without padding in column 0 of y_true"
        elif target_lengths is None:
            padding, pads = self.padding, ", padding=...), and pad y_true with a number that is no class"
            lengths_of_labels = f"give its number, CTC(padding={{label}}) in place of padding={self.padding}"
        move_blank = MOVE_BLANK.replace("blank=...", f"CTC(blank=...{pads or ')'}")
        first_frame = int(self.logit_lengths == "predicted")
        return KerasNames(packed, first_frame, labels, frames, lengths_of_labels, padding, move_blank)

    def _ends_of_labels(self, labels: Any, targets: Any, columns: Any) -> Any:
        if self.target_lengths == "packed":
            return columns[:, 0]
        padded = lengths.last_label(labels if is_floating(labels) else targets, self.padding)
        return padded if self.target_lengths == "padding" else lengths.first_end(targets, self.end or 0, padded)

    def _ends_of_frames(
        self, y_pred: Any, mask: Any, columns: Any, targets: Any, target_lengths: Any
    ) -> tuple[Any, Any]:
        """Return the logits with the frames in use at the front, and the number of these frames."""
        if self.logit_lengths == "mask":
            return lengths.without_masked(y_pred, mask)
        if self.logit_lengths == "packed":
            return y_pred, columns[:, -1]
        if self.logit_lengths == "all":
            return y_pred, None
        if self.logit_lengths == "end":
            ends = lengths.best_end(y_pred, self.end or 0)
        else:
            ends = lengths.round_lengths(columns[:, 0], y_pred)
        return y_pred, lengths.at_least_needed(ends, y_pred, targets, target_lengths)

    def _choose_padding(self, padding: Any) -> float | None:
        if isinstance(padding, str) and padding == "auto":
            if self.blank != 0 and self.target_lengths != "packed":
                raise OptionError(
                    f"padding: not given, and with blank={self.blank!r} class 0 is a label: give the number that pads "
                    "y_true, which must be no class, such as padding=-1; or padding=None if no row is padded, or if "
                    "target_lengths are passed to each call."
                )
            return 0
        contract.check_padding(padding)
        return padding

    def _check_options(self) -> None:
        contract.check_options(self.infeasible, "none", None)
        for name, known in (("target_lengths", get_args(TargetLengths)), ("logit_lengths", get_args(LogitLengths))):
            if getattr(self, name) not in known:
                raise unknown_option(name, getattr(self, name), known)
        wanted = "end" in (self.target_lengths, self.logit_lengths)
        if wanted and (isinstance(self.end, bool) or not isinstance(self.end, int) or self.end < 0):
            raise OptionError(f"end: expected the number of the end-of-sequence class, found {self.end!r}.")
        if not wanted and self.end is not None:
            raise OptionError('end: given, but neither target_lengths nor logit_lengths is "end".')
        if wanted and self.end == self.blank:
            raise OptionError(f"end: found {self.end}, the blank; the end of a sequence needs a class of its own.")

    def _check_form(self, y_true: Any, y_pred: Any, mask: Any, packed: int) -> None:
        if y_true.shape[1] is not None and y_true.shape[1] < packed:
            raise wrong_rank("y_true", y_true.shape, f"(batch, {packed} + labels)", "Make it with seqloss.keras.pack.")
        if self.logit_lengths == "predicted" and y_pred.shape[1] == 0:
            raise wrong_rank("y_pred", y_pred.shape, "(batch, 1 + time, classes)", "The first step holds the length.")
        if self.logit_lengths == "mask" and mask is None:
            raise OptionError(
                'logit_lengths: "mask", but y_pred carries no Keras mask: a layer after the one that makes it does not '
                'pass it on; or give the lengths in y_true, see seqloss.keras.pack, with logit_lengths="packed".'
            )
        if self.logit_lengths == "mask" and not _may_be_equal(mask.shape[1], y_pred.shape[1]):
            raise ShapeError(
                f"y_pred: its Keras mask has shape {tuple(mask.shape)}, expected (batch, time) = "
                f"{tuple(y_pred.shape[:2])}; a layer that changes the number of frames passed on the mask of its input."
            )
        if self.logit_lengths == "all" and mask is not None:
            raise OptionError(
                'logit_lengths: "all", but y_pred carries a Keras mask: set logit_lengths="mask", or another source of '
                "lengths; if all frames are meant, drop the mask before the last layer."
            )

    def get_config(self) -> dict[str, Any]:
        options = ("blank", "padding", "end", "target_lengths", "logit_lengths", "infeasible", "normalize", "validate")
        return super().get_config() | {"dtype": self.dtype} | {name: getattr(self, name) for name in options}


def _may_be_equal(size: int | None, other: int | None) -> bool:
    """Whether two sizes are equal or one is unknown."""
    return size is None or other is None or size == other
