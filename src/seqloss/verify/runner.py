"""Calls an implementation: adapts problems to what it supports, and checks shape and type of its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from seqloss.verify import tolerance
from seqloss.verify.implementation import Implementation
from seqloss.verify.problem import CallResult, Problem

LOG_PROBS_MARGIN = {"float16": 0.01, "bfloat16": 0.05}
"""Subtracted from log-probabilities of half types: rounded, their probabilities still sum to at most 1."""

ROWS = 4
"""Batch size for an implementation that compiles for each shape, unless there is a single row."""

Modified = tuple[Problem, tuple[str, ...]]
"""A problem, and the arguments that its call modified."""


class Executor(Protocol):
    """The interface of `WorkerProcess` and `InProcess`."""

    implementation: Implementation
    upstream: bool

    def call(self, problem: Problem, dtype: str) -> CallResult:
        """Call the implementation, with logits of this type."""
        ...

    def restart(self) -> None:
        """Continue with a new process, if there is one."""
        ...


class CallFailed(Exception):
    """A call returned nothing that a law can check; `found` describes what it did instead.

    `raised`: an exception; `crashed`: the process ended, or was ended because it took too long (`timed_out`).
    """

    def __init__(
        self,
        problem: Problem,
        found: str,
        expected: str,
        *,
        raised: bool = False,
        crashed: bool = False,
        timed_out: bool = False,
    ) -> None:
        super().__init__(found)
        self.problem, self.found, self.expected = problem, found, expected
        self.raised, self.crashed, self.timed_out = raised, crashed, timed_out


def failed_call(problem: Problem, answer: CallResult, expected: str) -> CallFailed:
    """The exception for a crash or a timeout."""
    expected = "a result within the time limit" if answer.timed_out else expected
    return CallFailed(problem, f"the process {answer.failure}", expected, crashed=True, timed_out=answer.timed_out)


@dataclass(frozen=True)
class Outputs:
    """Loss (batch,) and gradient (batch, time, classes) in float64; the gradient is None if there is none."""

    loss: np.ndarray
    gradient: np.ndarray | None


class Runner:
    """Calls an implementation with logits of one type.

    Attributes:
        dtype: of the logits.
        gradient: whether the implementation returns a gradient; None before the first call.
        calls: number of calls so far.
        modified: the calls that modified their arguments.
        exact_shapes: never pad problems to a few shapes, even if each shape is compiled.
        narrowed: whether a wider type was left out, see `narrowing`.
    """

    def __init__(
        self,
        executor: Executor,
        dtype: str | None = None,
        modified: list[Modified] | None = None,
        exact_shapes: bool = False,
        narrowed: bool = False,
    ) -> None:
        self.narrowed = narrowed
        self.executor, self.implementation, self.exact_shapes = executor, executor.implementation, exact_shapes
        self.modified = [] if modified is None else modified
        self.dtype = dtype or self.implementation.dtypes[0]
        self.gradient = self.implementation.gradient
        self.calls = 0

    def with_dtype(self, dtype: str, exact_shapes: bool = False) -> Runner:
        """A runner of the same implementation with logits of another type."""
        same = dtype in ("", self.dtype) and exact_shapes == self.exact_shapes
        return self if same else Runner(self.executor, dtype or self.dtype, self.modified, exact_shapes)

    @property
    def upstream(self) -> bool:
        """Whether the implementation takes an upstream gradient."""
        return self.executor.upstream

    def adapt(self, problem: Problem) -> Problem:
        """The problem with a blank, lengths and logits that the implementation supports, rounded to the type."""
        implementation = self.implementation
        if implementation.blank != "any":
            problem = swap_blank(problem, 0 if implementation.blank == "first" else problem.logits.shape[2] - 1)
        if implementation.lengths != "both":
            problem = problem.replace(logit_lengths=np.full_like(problem.logit_lengths, problem.logits.shape[1]))
        if implementation.lengths == "none" and len(set(problem.target_lengths.tolist())) > 1:
            problem = problem.select_rows(np.flatnonzero(problem.target_lengths == problem.target_lengths[0]))
        if implementation.lengths == "none":
            problem = problem.replace(
                targets=problem.targets[:, : problem.target_lengths[0]] if len(problem.logits) else problem.targets
            )
        logits = problem.logits
        if implementation.scores == "log_probs":
            logits = log_softmax(logits) - LOG_PROBS_MARGIN.get(self.dtype, 0.0)
        return problem.replace(logits=round_to_dtype(logits, self.dtype))

    def finite_outputs(self, problem: Problem) -> Outputs:
        """Loss and gradient for a problem whose loss is finite.

        Raises:
            CallFailed: the call failed, or its result has a wrong shape or type, or contains NaN.
        """
        judged = self.outputs(problem)
        _refuse_nan(problem, "the loss", judged.loss)
        if judged.gradient is not None:
            _refuse_nan(problem, "the gradient", judged.gradient)
        return judged

    def outputs(self, problem: Problem) -> Outputs:
        """Loss and gradient, whatever their values.

        Raises:
            CallFailed: the call failed, or its result has a wrong shape or type.
        """
        answer = self.call(problem)
        if answer.failure:
            raise failed_call(problem, answer, "a result")
        if answer.raised:
            raise CallFailed(problem, answer.raised, "a result: the arguments are valid", raised=True)
        batch, time, classes, _ = problem.shape
        loss = _checked_array(problem, "the loss", answer.loss, (batch,))
        if answer.gradient is None:
            if self.gradient:
                raise CallFailed(problem, "no gradient", "loss and gradient, as from other calls")
            self.gradient = False
            return Outputs(loss, None)
        self.gradient = True
        return Outputs(loss, _checked_array(problem, "the gradient", answer.gradient, (batch, time, classes)))

    def call(self, problem: Problem) -> CallResult:
        """Call the implementation. If it compiles for each shape, the problem is padded to one of a few shapes."""
        self.calls += 1
        answer = self._call(problem)
        if answer.modified:
            self.modified.append((problem, answer.modified))
        return answer

    def _call(self, problem: Problem) -> CallResult:
        if (
            not self.implementation.few_shapes
            or self.exact_shapes
            or not can_pad_to_few_shapes(problem, self.implementation)
        ):
            return self.executor.call(problem, self.dtype)
        batch, time, _, _ = problem.shape
        chunks = [problem.select_rows(np.arange(n, min(n + ROWS, batch))) for n in range(0, batch, ROWS)]
        full = self.implementation.lengths == "both"
        answers = [self.executor.call(pad_to_few_shapes(chunk, full), self.dtype) for chunk in chunks]
        unusable = [
            x
            for x in answers
            if x.loss is None or x.loss.ndim != 1 or (x.gradient is not None and x.gradient.ndim != 3)
        ]
        if unusable:
            return unusable[0]
        gradients = [x.gradient for x in answers if x.gradient is not None]
        return CallResult(
            np.concatenate([x.loss for x in answers if x.loss is not None])[:batch],
            np.concatenate(gradients)[:batch, :time] if len(gradients) == len(answers) else None,
            modified=tuple(sorted({name for x in answers for name in x.modified})),
        )

    def loss_tolerance(self, problem: Problem) -> np.ndarray:
        """(batch,), see `tolerance`."""
        return tolerance.loss_tolerance(problem, self.dtype)

    def gradient_tolerance(self, problem: Problem) -> np.ndarray:
        """(batch, 1, 1), see `tolerance`."""
        return tolerance.gradient_tolerance(problem, self.dtype)[:, None, None]


def numpy_dtype(dtype: str) -> Any:
    """The NumPy type of this name; bfloat16 is that of ml_dtypes."""
    if dtype != "bfloat16":
        return np.dtype(dtype)
    import ml_dtypes

    return ml_dtypes.bfloat16


def round_to_dtype(values: np.ndarray, dtype: str) -> np.ndarray:
    """The values rounded to a type, as float64."""
    with np.errstate(over="ignore"):
        return values.astype(numpy_dtype(dtype)).astype(np.float64)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-softmax over the last axis; frames without a finite maximum are returned unchanged."""
    top = logits.max(axis=-1, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        lower = logits - np.where(np.isfinite(top), top, 0.0)
        return np.where(np.isfinite(top), lower - np.log(np.exp(lower).sum(axis=-1, keepdims=True)), logits)


def swap_blank(problem: Problem, blank: int) -> Problem:
    """The problem with the blank swapped with another class."""
    if blank == problem.blank:
        return problem
    swap = np.arange(problem.logits.shape[2])
    swap[[blank, problem.blank]] = swap[[problem.blank, blank]]
    inside = (problem.targets >= 0) & (problem.targets < len(swap))
    targets = np.where(inside, swap[np.where(inside, problem.targets, 0)], problem.targets)
    return problem.replace(logits=problem.logits[:, :, swap], targets=targets, blank=blank)


def pad_problem(problem: Problem, frames: int, labels: int, fill: float = 0.0, label: int | None = None) -> Problem:
    """Add frames and labels of padding.

    Args:
        problem: what to pad.
        frames: number of frames to add.
        labels: number of labels to add.
        fill: value of the added scores.
        label: value of the added labels; None for a valid label.

    Returns:
        the padded problem.
    """
    label = (1 if problem.blank == 0 else 0) if label is None else label
    return problem.replace(
        logits=np.pad(problem.logits, ((0, 0), (0, frames), (0, 0)), constant_values=fill),
        targets=np.pad(problem.targets, ((0, 0), (0, labels)), constant_values=label),
    )


def can_pad_to_few_shapes(problem: Problem, implementation: Implementation) -> bool:
    """Whether padding keeps the meaning: there are rows, and all lengths fit their axes already."""
    batch, time, _, labels = problem.shape
    fits = (problem.logit_lengths <= time).all() and (problem.target_lengths <= labels).all()
    return batch > 0 and implementation.lengths != "none" and bool(fits)


def pad_to_few_shapes(problem: Problem, frames: bool) -> Problem:
    """Pad time to a multiple of 8, labels to a multiple of 4, and several rows to `ROWS` by repeating the last."""
    batch, time, _, labels = problem.shape
    rows = 1 if batch == 1 else ROWS
    more = problem.select_rows(np.minimum(np.arange(rows), batch - 1))
    return pad_problem(more, -time % 8 if frames else 0, -labels % 4)


def _checked_array(problem: Problem, name: str, found: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    assert found is not None
    is_float = found.dtype.kind == "f" or found.dtype.name == "bfloat16"
    if found.shape != shape or not is_float:
        raise CallFailed(
            problem, f"{name} is {found.dtype} of shape {found.shape}", f"floating-point values of shape {shape}"
        )
    return found.astype(np.float64)


def _refuse_nan(problem: Problem, name: str, found: np.ndarray) -> None:
    if np.isnan(found).any():
        row = int(np.argwhere(np.isnan(found))[0][0])
        raise CallFailed(
            problem, f"{name} of row {row} is NaN", "a number: all scores are finite and the target is feasible"
        )
