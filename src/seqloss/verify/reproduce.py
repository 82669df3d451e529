"""A failure as a few lines of Python that anyone can run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from seqloss.verify.problem import Problem
from seqloss.verify.subject import Subject

LARGE = 400
"""Arrays of more numbers are told by how they were drawn, not by their numbers."""


def script(
    subject: Subject,
    dtype: str,
    problem: Problem,
    beside: Problem | None,
    expected: str,
    found: str,
    shows: str = "loss",
    gradient: bool = True,
) -> str:
    """Lines that make the call, or the two that should agree, and print what comes.

    Example:
        >>> from seqloss.verify.problem import problem
        >>> one = problem([[[0.0, 0.5]]], [[1]])
        >>> print(script(Subject("mine", "mine:ctc"), "float64", one, None, "loss 0.474", "loss 0.9"))
        import numpy as np
        from mine import ctc
        <BLANKLINE>
        logits = np.array([[[0.0, 0.5]]], np.float64)
        loss, gradient = ctc(logits, np.array([[1]]), np.array([1]), np.array([1]), 0)
        print(loss)
        # expected: loss 0.474
        # found:    loss 0.9
    """
    name, load = loading(subject.source)
    answer = "loss, gradient" if gradient else "loss"
    lines = ["import numpy as np", *load, ""]
    if beside is not None:
        lines += ["# what it must agree with:", *call(name, beside, dtype, answer), f"print({shows})", ""]
    lines += [*call(name, problem, dtype, answer), f"print({shows})"]
    return "\n".join([*lines, f"# expected: {expected}", f"# found:    {found}"])


def loading(source: str | Callable) -> tuple[str, list[str]]:
    """The function's name, and the lines that bring it."""
    if not isinstance(source, str):
        return getattr(source, "__name__", "f"), []
    place, _, name = source.rpartition(":")
    if not place.endswith(".py"):
        return name, [f"from {place} import {name}"]
    path = Path(place).resolve()
    return name, ["import sys", f"sys.path.insert(0, {str(path.parent)!r})", f"from {path.stem} import {name}"]


def call(name: str, problem: Problem, dtype: str, answer: str) -> list[str]:
    upstream = "" if problem.upstream is None else f", upstream=np.array({problem.upstream.tolist()})"
    kind = "float32" if dtype == "bfloat16" else dtype
    if problem.logits.size > LARGE or problem.targets.size > LARGE:
        batch, time, classes, labels = problem.shape
        return [
            f"logits = np.random.default_rng(0).normal(size=({batch}, {time}, {classes})).astype(np.{kind})",
            f"targets = np.random.default_rng(0).integers(1, {max(classes, 2)}, ({batch}, {labels}))",
            f"lengths = np.full({batch}, {time}), np.full({batch}, {labels})",
            f"{answer} = {name}(logits, targets, *lengths, {problem.blank})",
        ]
    integers = (problem.targets, problem.logit_lengths, problem.target_lengths)
    given = ", ".join(_integers(array) for array in integers)
    return [
        f"logits = np.array({_numbers(problem.logits)}, np.{kind})",
        f"{answer} = {name}(logits, {given}, {problem.blank}{upstream})",
    ]


def _integers(array: np.ndarray) -> str:
    empty = f".reshape{array.shape}".replace(",)", ")") if array.size == 0 and array.ndim > 1 else ""
    return f"np.array({array.tolist()}{', int' if array.size == 0 else ''}){empty}"


def _numbers(array: np.ndarray) -> str:
    text = repr(np.round(array, 12).tolist())
    text = re.sub(r"(?<![\w.])(-?)(inf|nan)", r"\1np.\2", text)
    return text if array.size else f"np.zeros({array.shape})"
