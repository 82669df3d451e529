"""CTC on TensorFlow tensors.

There are two implementations. On the CPU, the kernel that all frontends share computes the loss, eagerly or in a graph
through `tf.numpy_function`. XLA (jit_compile=True) cannot call Python, and a GPU would have to wait for it. There the
formula in `seqloss.formulas.ctc.loss` becomes part of the graph. The choice is made when a function is traced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from seqloss import contract
from seqloss.contract import Batch, Infeasible, Reduction, current_argument_names, rename_arguments
from seqloss.errors import wrong_logits_dtype
from seqloss.formulas.ctc import loss as formula
from seqloss.keras._compat import is_on_cpu, traced_for_xla
from seqloss.keras.ctc.shapes import size, with_rank
from seqloss.keras.namespace import TensorFlowNamespace
from seqloss.numpy.arrays import COMPUTED_IN, log_softmax_rounding
from seqloss.numpy.ctc.rows import compute_rows

INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Options:
    """The options of a traced function; `normalize` and `infeasible` as in `ctc_loss`.

    Attributes:
        blank: class index from 0; the index as passed if the number of classes is unknown while tracing.
        unchecked: labels and lengths are checked when the graph runs.
        rounding: the `rounding` of `contract.check_normalized`, if the sums are checked when the graph runs; else None.
    """

    blank: int
    normalize: bool
    infeasible: Infeasible
    unchecked: bool
    rounding: float | None


@tf.autograph.experimental.do_not_convert
def ctc_loss(
    logits: Any,
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    reduction: Reduction = "none",
    denominator: float | None = None,
    validate: bool = True,
) -> tf.Tensor:
    """See `seqloss.keras.ctc_loss`."""
    contract.check_options(infeasible, reduction, denominator)
    logits = tf.convert_to_tensor(logits)
    kind = logits.dtype.name
    if kind not in COMPUTED_IN:
        raise wrong_logits_dtype(kind)
    if logits.shape.rank is None:
        logits = with_rank("logits", logits, "batch", "time", "classes")
    given = [_host(value) for value in _ranked(targets, logit_lengths, target_lengths)]
    known = logits.shape.is_fully_defined() and not any(map(tf.is_tensor, given))
    batch = contract.validate(*_forms(logits, given), blank=blank, values=validate and known)
    if infeasible == "raise" and known:
        contract.refuse_too_few_frames(tuple(logits.shape), batch)
    slack = log_softmax_rounding(kind) if validate and not normalize else None
    if slack is not None and known and is_on_cpu(logits):
        contract.check_normalized(_computed(logits).numpy(), batch.logit_lengths, slack)
        slack = None
    blank = blank if logits.shape[2] is None else batch.blank
    options = Options(blank, normalize, infeasible, validate and not known, slack)
    arguments = _tensors(logits, given)
    arguments.append(_weights(reduction, arguments[2], denominator, logits))
    if _python_may_be_called():
        losses = _differentiable(logits, lambda values: _called(values, batch if known else None, arguments, options))
    else:
        losses = _differentiable(logits, lambda values: _compiled(values, batch if known else None, arguments, options))
    return losses if reduction == "none" else tf.reduce_sum(losses)


def _differentiable(logits: tf.Tensor, loss_and_grad: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]) -> tf.Tensor:
    """Weighted losses with a custom gradient, which is computed together with them."""

    @tf.custom_gradient
    def run(logits: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        losses, gradient = loss_and_grad(_computed(logits))

        def weigh(upstream: tf.Tensor) -> tf.Tensor:
            def weighted() -> tf.Tensor:
                return tf.math.multiply_no_nan(upstream[:, None, None], gradient)  # 0, even if upstream is inf or NaN

            is_one = tf.reduce_all(tf.equal(upstream, 1.0))
            found = tf.cond(is_one, lambda: gradient, weighted) if _python_may_be_called() else weighted()
            return _once(tf.cast(found, logits.dtype), logits)

        return losses, weigh

    return run(logits)


@tf.custom_gradient
def _once(gradient: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], Any]]:
    """Return the gradient; differentiating it raises an error, where TensorFlow would silently return None."""

    def refuse(upstream: tf.Tensor) -> Any:
        raise RuntimeError(
            "ctc_loss has no second derivative on TensorFlow: its gradient is now being differentiated; put "
            "tf.stop_gradient around that gradient, or leave this loss out of the penalty."
        )

    return tf.identity(gradient), refuse


def _called(
    values: tf.Tensor, batch: Batch | None, arguments: list[tf.Tensor], options: Options
) -> tuple[tf.Tensor, tf.Tensor]:
    """Losses and gradient by the CPU kernel, now or when the graph runs."""
    names = current_argument_names()

    def kernel(values: np.ndarray, *given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        *integers, weights = given
        found = batch or contract.validate(values.shape, *integers, blank=options.blank, values=options.unchecked)
        if options.rounding is not None:
            contract.check_normalized(values, found.logit_lengths, options.rounding)
        rows = compute_rows(values, found, normalize=options.normalize, infeasible=options.infeasible, weights=weights)
        assert rows.gradient is not None
        return rows.losses * weights, rows.gradient

    def kernel_of_graph(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with rename_arguments(names):  # saved while tracing: the caller's context has ended when the graph runs
            return kernel(*arrays)

    if tf.executing_eagerly():
        losses, gradient = map(tf.convert_to_tensor, kernel(values.numpy(), *(array.numpy() for array in arguments)))
    else:
        losses, gradient = tf.numpy_function(kernel_of_graph, [values, *arguments], [values.dtype, values.dtype])
    return tf.ensure_shape(losses, values.shape[:1]), tf.ensure_shape(gradient, values.shape)


def _compiled(
    values: tf.Tensor, batch: Batch | None, arguments: list[tf.Tensor], options: Options
) -> tuple[tf.Tensor, tf.Tensor]:
    """Losses and gradient by TensorFlow operations. They cannot raise: an invalid row is NaN."""
    time = size(values, 1)
    targets, frames, labels = map(narrow, arguments[:3])
    blank, no_class = _blank_class(values, options.blank)
    losses, gradient = formula.loss_and_grad(
        TensorFlowNamespace(),
        _at_least_one_wide(values, 1),
        _at_least_one_wide(targets, 1),
        frames,
        labels,
        blank=blank,
        normalize=options.normalize,
        rounding=options.rounding,
    )
    nan = tf.constant(np.nan, losses.dtype)
    losses, gradient = tf.where(no_class, nan, losses), tf.where(no_class, nan, gradient)
    if options.infeasible != "inf":
        result = tf.constant(0.0 if options.infeasible == "zero" else np.nan, losses.dtype)
        infeasible_rows = tf.equal(losses, np.inf)
        if (
            options.infeasible == "raise"
            and batch is not None
            and is_on_cpu(infeasible_rows)
            and infeasible_rows.numpy().any()
        ):
            raise contract.infeasible_row(int(infeasible_rows.numpy().argmax()), batch)
        losses, gradient = (
            tf.where(infeasible_rows, result, losses),
            tf.where(infeasible_rows[:, None, None], result, gradient),
        )
    weights = arguments[3]
    losses, gradient = losses * weights, gradient[:, :time] * weights[:, None, None]
    return tf.ensure_shape(losses, values.shape[:1]), tf.ensure_shape(gradient, values.shape)


def _blank_class(values: tf.Tensor, blank: int) -> tuple[Any, Any]:
    """Return the blank's index from 0, and whether it is not a class; then the index is 0.

    Both are scalar tensors if the number of classes is unknown.
    """
    if values.shape[2] is not None:
        return blank, False
    classes = tf.shape(values)[2]
    no_class = tf.logical_or(blank >= classes, blank < -classes)
    return tf.where(no_class, 0, blank if blank >= 0 else classes + blank), no_class


def _at_least_one_wide(x: tf.Tensor, axis: int) -> tf.Tensor:
    """Pad an empty axis with one slice of zeros, because the formula needs at least one."""
    known = x.shape[axis]
    missing = tf.cast(tf.equal(tf.shape(x)[axis], 0), tf.int32) if known is None else int(known == 0)
    return tf.pad(x, [[0, missing if place == axis else 0] for place in range(x.shape.rank)])


def _ranked(targets: Any, logit_lengths: Any, target_lengths: Any) -> list[Any]:
    """Check the ranks of tensors of unknown rank; return all else unchanged."""
    axes = {"targets": ("batch", "labels"), "logit_lengths": ("batch",), "target_lengths": ("batch",)}
    given = (targets, logit_lengths, target_lengths)
    unknown = [tf.is_tensor(value) and value.shape.rank is None for value in given]
    return [
        with_rank(name, value, *axes[name]) if ranked else value
        for name, value, ranked in zip(axes, given, unknown, strict=True)
    ]


def _python_may_be_called() -> bool:
    """Return False when XLA compiles, and when the logits may be on a GPU."""
    return not tf.config.get_visible_devices("GPU") and not traced_for_xla()


def _host(value: Any) -> Any:
    """Return the values of an eager CPU tensor; return anything else unchanged."""
    value = value.value() if isinstance(value, tf.Variable) else value
    return value.numpy() if tf.is_tensor(value) and is_on_cpu(value) else value


def _computed(logits: tf.Tensor) -> tf.Tensor:
    return tf.cast(logits, COMPUTED_IN[logits.dtype.name])


def _forms(logits: tf.Tensor, given: list[Any]) -> list[Any]:
    """Return the shape of the logits, and each argument, or its `Form` if it is a tensor; unknown sizes are valid."""
    shapes = [tuple(value.shape) for value in (logits, *given) if hasattr(value, "shape")]  # lists are as they are
    row_count = next((shape[0] for shape in shapes if shape and shape[0] is not None), 0)

    def sizes(shape: Any) -> tuple[int, ...]:
        return tuple((0 if axis else row_count) if known is None else known for axis, known in enumerate(shape))

    seen = [contract.form_of(x.dtype.as_numpy_dtype, sizes(x.shape)) if tf.is_tensor(x) else x for x in given]
    shape = sizes(logits.shape)
    if logits.shape[2:] == [None]:
        shape = (*shape[:2], INT32.max)  # any blank is valid
    return [shape, *seen]


def _tensors(logits: tf.Tensor, given: list[Any]) -> list[tf.Tensor]:
    """Return targets, logit_lengths and target_lengths as tensors, with full lengths in place of None."""
    targets, frames, labels = given
    targets = tf.convert_to_tensor(targets)
    rows = tf.zeros(tf.shape(logits)[:1], tf.int32)
    frames = rows + tf.shape(logits)[1] if frames is None else tf.convert_to_tensor(frames)
    labels = rows + tf.shape(targets)[1] if labels is None else tf.convert_to_tensor(labels)
    return [targets, frames, labels]


def narrow(values: tf.Tensor) -> tf.Tensor:
    """Convert to int32. Values out of range are clipped, so that no invalid label becomes a valid one."""
    return tf.cast(tf.clip_by_value(tf.cast(values, tf.int64), INT32.min, INT32.max), tf.int32)


def _weights(reduction: Reduction, lengths: tf.Tensor, denominator: float | None, logits: tf.Tensor) -> tf.Tensor:
    """`seqloss.contract.reduction_weights` for lengths that may be known at run time only."""
    kind, rows = COMPUTED_IN[logits.dtype.name], tf.shape(logits)[:1]
    divisor = contract.reduction_divisor(
        reduction, tf.cast(lengths, kind), tf.cast(rows[0], kind), denominator, maximum=tf.maximum, total=tf.reduce_sum
    )
    return tf.ones(rows, kind) / tf.cast(divisor, kind)
