"""A implementation under questioning: problems are made to fit what it promises, answers looked at before a law sees
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from seqloss.verify import tolerance
from seqloss.verify.implementation import Implementation
from seqloss.verify.problem import Answer, Problem

ROOM = {"float16": 0.01, "bfloat16": 0.05}
"""What log-probabilities of half types are lowered by, so that rounded they still add up to at most 1."""

ROWS = 4
"""Rows in a call to an implementation that compiles for each shape: one, or these."""


Written = tuple[Problem, tuple[str, ...]]


class Asked(Protocol):
    """What `Process` and `Here` have in common."""

    implementation: Implementation
    upstream: bool

    def ask(self, problem: Problem, dtype: str) -> Answer: ...

    def renew(self) -> None: ...


class Unanswered(Exception):
    """No answer that a law could judge: what came instead."""

    def __init__(
        self, problem: Problem, found: str, expected: str, died: bool = False, timed_out: bool = False
    ) -> None:
        super().__init__(found)
        self.problem, self.found, self.expected, self.died, self.timed_out = problem, found, expected, died, timed_out


def no_reply(problem: Problem, answer: Answer, expected: str) -> Unanswered:
    """A crash, or a call that took too long."""
    expected = "an answer within the time limit" if answer.timed_out else expected
    return Unanswered(problem, f"the process {answer.died}", expected, True, answer.timed_out)


@dataclass(frozen=True)
class Judged:
    """A loss (batch,) and a gradient (batch, time, classes) of the right shapes, in float64; no gradient is None."""

    loss: np.ndarray
    gradient: np.ndarray | None


class Runner:
    """A implementation, asked in one of its types.

    Attributes:
        dtype: of the logits that it is given.
        gradient: whether it returns one, once it was asked.
        calls: how often it was asked.
        wrote: every call that changed its arguments, and which.
        exact: whether it is asked in the very sizes of a problem, although each may cost it a compilation.
    """

    def __init__(
        self, asked: Asked, dtype: str | None = None, wrote: list[Written] | None = None, exact: bool = False
    ) -> None:
        self.asked, self.implementation, self.exact = asked, asked.implementation, exact
        self.wrote = [] if wrote is None else wrote
        self.dtype = dtype or self.implementation.dtypes[0]
        self.gradient = self.implementation.gradient
        self.calls = 0

    def given(self, dtype: str, exact: bool = False) -> Runner:
        """The same implementation, asked in another type."""
        same = dtype in ("", self.dtype) and exact == self.exact
        return self if same else Runner(self.asked, dtype or self.dtype, self.wrote, exact)

    @property
    def upstream(self) -> bool:
        return self.asked.upstream

    def fit(self, problem: Problem) -> Problem:
        """The same problem as this implementation can be told it: blank, lengths, rounded scores, log-probabilities."""
        implementation = self.implementation
        if implementation.blank != "any":
            problem = with_blank(problem, 0 if implementation.blank == "first" else problem.logits.shape[2] - 1)
        if implementation.lengths != "both":
            problem = problem.but(logit_lengths=np.full_like(problem.logit_lengths, problem.logits.shape[1]))
        if implementation.lengths == "none" and len(set(problem.target_lengths.tolist())) > 1:
            problem = problem.pick(np.flatnonzero(problem.target_lengths == problem.target_lengths[0]))
        if implementation.lengths == "none":
            problem = problem.but(
                targets=problem.targets[:, : problem.target_lengths[0]] if len(problem.logits) else problem.targets
            )
        logits = problem.logits
        if implementation.scores == "log_probs":
            logits = log_softmax(logits) - ROOM.get(self.dtype, 0.0)
        return problem.but(logits=rounded(logits, self.dtype))

    def ask(self, problem: Problem) -> Judged:
        """An answer to a problem that has a finite one: it must come, in shape, without NaN."""
        judged = self.look(problem)
        _refuse_nan(problem, "the loss", judged.loss)
        if judged.gradient is not None:
            _refuse_nan(problem, "the gradient", judged.gradient)
        return judged

    def look(self, problem: Problem) -> Judged:
        """An answer of the right shapes and types, whatever its values are."""
        answer = self.raw(problem)
        if answer.died:
            raise no_reply(problem, answer, "an answer")
        if answer.raised:
            raise Unanswered(problem, answer.raised, "an answer: the call is a valid one")
        batch, time, classes, _ = problem.shape
        loss = _array(problem, "the loss", answer.loss, (batch,))
        if answer.gradient is None:
            if self.gradient:
                raise Unanswered(problem, "no gradient", "a loss and its gradient, as in other calls")
            self.gradient = False
            return Judged(loss, None)
        self.gradient = True
        return Judged(loss, _array(problem, "the gradient", answer.gradient, (batch, time, classes)))

    def raw(self, problem: Problem) -> Answer:
        """Whatever comes back. Where every shape costs a compilation, a few sizes serve for all."""
        self.calls += 1
        answer = self._raw(problem)
        if answer.wrote:
            self.wrote.append((problem, answer.wrote))
        return answer

    def _raw(self, problem: Problem) -> Answer:
        if not self.implementation.few_shapes or self.exact or not may_be_filled(problem, self.implementation):
            return self.asked.ask(problem, self.dtype)
        batch, time, _, _ = problem.shape
        chunks = [problem.pick(np.arange(n, min(n + ROWS, batch))) for n in range(0, batch, ROWS)]
        full = self.implementation.lengths == "both"
        answers = [self.asked.ask(filled(chunk, full), self.dtype) for chunk in chunks]
        odd = [
            x
            for x in answers
            if x.loss is None or x.loss.ndim != 1 or (x.gradient is not None and x.gradient.ndim != 3)
        ]
        if odd:
            return odd[0]
        gradients = [x.gradient for x in answers if x.gradient is not None]
        return Answer(
            np.concatenate([x.loss for x in answers if x.loss is not None])[:batch],
            np.concatenate(gradients)[:batch, :time] if len(gradients) == len(answers) else None,
            wrote=tuple(sorted({name for x in answers for name in x.wrote})),
        )

    def loss_tolerance(self, problem: Problem) -> np.ndarray:
        return tolerance.of_loss(problem, self.dtype)

    def gradient_tolerance(self, problem: Problem) -> np.ndarray:
        """(batch, 1, 1)"""
        return tolerance.of_gradient(problem, self.dtype)[:, None, None]


def array_type(dtype: str) -> Any:
    """NumPy's type of that name; bfloat16 is lent by ml_dtypes."""
    if dtype != "bfloat16":
        return np.dtype(dtype)
    import ml_dtypes

    return ml_dtypes.bfloat16


def rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    """In float64, as they are after a conversion to this type."""
    with np.errstate(over="ignore"):
        return values.astype(array_type(dtype)).astype(np.float64)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Of the last axis; frames that hold no number stay as they are."""
    top = logits.max(axis=-1, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        lower = logits - np.where(np.isfinite(top), top, 0.0)
        return np.where(np.isfinite(top), lower - np.log(np.exp(lower).sum(axis=-1, keepdims=True)), logits)


def with_blank(problem: Problem, blank: int) -> Problem:
    """The same problem, its blank and another class having changed places."""
    if blank == problem.blank:
        return problem
    swap = np.arange(problem.logits.shape[2])
    swap[[blank, problem.blank]] = swap[[problem.blank, blank]]
    inside = (problem.targets >= 0) & (problem.targets < len(swap))
    targets = np.where(inside, swap[np.where(inside, problem.targets, 0)], problem.targets)
    return problem.but(logits=problem.logits[:, :, swap], targets=targets, blank=blank)


def padded(problem: Problem, frames: int, labels: int, fill: float = 0.0, label: int | None = None) -> Problem:
    """More frames and labels past every row's length."""
    label = (1 if problem.blank == 0 else 0) if label is None else label
    return problem.but(
        logits=np.pad(problem.logits, ((0, 0), (0, frames), (0, 0)), constant_values=fill),
        targets=np.pad(problem.targets, ((0, 0), (0, labels)), constant_values=label),
    )


def may_be_filled(problem: Problem, implementation: Implementation) -> bool:
    """Not without rows, nor where a length that does not fit its axis would come to fit."""
    batch, time, _, labels = problem.shape
    fits = (problem.logit_lengths <= time).all() and (problem.target_lengths <= labels).all()
    return batch > 0 and implementation.lengths != "none" and bool(fits)


def filled(problem: Problem, frames: bool) -> Problem:
    """Time a multiple of 8, labels of 4, more rows than one filled up: by padding, and by saying the last row again."""
    batch, time, _, labels = problem.shape
    rows = 1 if batch == 1 else ROWS
    more = problem.pick(np.minimum(np.arange(rows), batch - 1))
    return padded(more, -time % 8 if frames else 0, -labels % 4)


def _array(problem: Problem, name: str, found: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    assert found is not None
    known = found.dtype.kind == "f" or found.dtype.name == "bfloat16"
    if found.shape != shape or not known:
        raise Unanswered(
            problem, f"{name} is {found.dtype} of shape {found.shape}", f"floating point numbers of shape {shape}"
        )
    return found.astype(np.float64)


def _refuse_nan(problem: Problem, name: str, found: np.ndarray) -> None:
    if np.isnan(found).any():
        row = int(np.argwhere(np.isnan(found))[0][0])
        raise Unanswered(problem, f"{name} of row {row} is NaN", "a number: every score is finite and a path fits")
