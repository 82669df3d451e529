"""A failure as a few lines of Python that anyone can run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from seqloss.verify.cases import CASES
from seqloss.verify.problem import Problem
from seqloss.verify.subject import Subject

LARGE = 400
"""Arrays of more numbers are named by their case, where they are one's."""


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
        return name, [f"from {place} import {name.partition('.')[0]}"]
    path = Path(place).resolve()
    if not path.stem.isidentifier():
        return name, ["import runpy", f"globals().update(runpy.run_path({str(path)!r}))"]
    outer = name.partition(".")[0]
    return name, ["import sys", f"sys.path.insert(0, {str(path.parent)!r})", f"from {path.stem} import {outer}"]


def call(name: str, problem: Problem, dtype: str, answer: str) -> list[str]:
    upstream = "" if problem.upstream is None else f", upstream=np.array({problem.upstream.tolist()})"
    kind = "float32" if dtype == "bfloat16" else dtype
    if problem.logits.size > LARGE or problem.targets.size > LARGE:
        case = next(
            (case.name for case in CASES if case.full or case.law == "sizes" if same(case.problem(), problem)), ""
        )
        if case:
            return [
                "from seqloss.verify.cases import CASES",
                f"p = next(case for case in CASES if case.name == {case!r}).problem()",
                "lengths = p.logit_lengths, p.target_lengths",
                f"{answer} = {name}(p.logits.astype(np.{kind}), p.targets, *lengths, {problem.blank})",
            ]
    integers = (problem.targets, problem.logit_lengths, problem.target_lengths)
    given = ", ".join(_integers(array) for array in integers)
    return [
        f"logits = np.array({_numbers(problem.logits)}, np.{kind})",
        f"{answer} = {name}(logits, {given}, {problem.blank}{upstream})",
    ]


def same(one: Problem, other: Problem) -> bool:
    """Whether they are of one size and target: a subject may have been told rounded scores."""
    return one.shape == other.shape and bool((one.targets == other.targets).all())


def _integers(array: np.ndarray) -> str:
    empty = f".reshape{array.shape}".replace(",)", ")") if array.size == 0 and array.ndim > 1 else ""
    return f"np.array({array.tolist()}{', int' if array.size == 0 else ''}){empty}"


def _numbers(array: np.ndarray) -> str:
    text = repr(array.tolist())
    text = re.sub(r"(?<![\w.])(-?)(inf|nan)", r"\1np.\2", text)
    return text if array.size else f"np.zeros({array.shape})"
