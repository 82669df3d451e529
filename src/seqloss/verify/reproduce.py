"""A failure as a few lines of Python that anyone can run."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from seqloss.verify.cases import CASES, sized
from seqloss.verify.forms import FORMS
from seqloss.verify.implementation import Implementation
from seqloss.verify.problem import Problem
from seqloss.verify.runner import with_blank

LARGE = 400
"""Arrays of more numbers are named by their case, where they are one's."""


def script(
    implementation: Implementation,
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
        >>> print(script(Implementation("mine", "mine:ctc"), "float64", one, None, "loss 0.474", "loss 0.9"))
        import numpy as np
        from mine import ctc
        <BLANKLINE>
        logits = np.array([[[0.0, 0.5]]], np.float64)
        loss, gradient = ctc(logits, np.array([[1]]), np.array([1]), np.array([1]), 0)
        print(loss)
        # expected: loss 0.474
        # found:    loss 0.9
    """
    name, load = loading(implementation.source)
    answer = "loss, gradient" if gradient else "loss"
    log_probs = implementation.scores == "log_probs"
    lines = ["import numpy as np", *load, ""]
    if beside is not None:
        lines += ["# what it must agree with:", *call(name, beside, dtype, answer, log_probs), f"print({shows})", ""]
    lines += [*call(name, problem, dtype, answer, log_probs), f"print({shows})"]
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


def call(name: str, problem: Problem, dtype: str, answer: str, log_probs: bool = False) -> list[str]:
    upstream = "" if problem.upstream is None else f", upstream=np.array({problem.upstream.tolist()})"
    kind = "float32" if dtype == "bfloat16" else dtype
    large = _by_name(problem, log_probs) if problem.logits.size > LARGE or problem.targets.size > LARGE else []
    if large:
        return [
            *large,
            f"{answer} = {name}(logits.astype(np.{kind}), p.targets, p.logit_lengths, p.target_lengths, p.blank)",
        ]
    integers = [_integers(array) for array in (problem.targets, problem.logit_lengths, problem.target_lengths)]
    lines = [f"logits = np.array({_numbers(problem.logits)}, np.{kind})"]
    if problem.form:
        lines += [f"targets, frames, labels = {', '.join(integers)}", *FORMS[problem.form].lines]
        integers = ["targets", "frames", "labels"]
    return [*lines, f"{answer} = {name}(logits, {', '.join(integers)}, {problem.blank}{upstream})"]


def _by_name(problem: Problem, log_probs: bool) -> list[str]:
    """Lines that make `p` and its `logits`, if they are made by a rule; none if they are not."""
    batch, time, classes, labels = problem.shape
    blank = ("", "") if problem.blank == 0 else ("with_blank(", f", {problem.blank})")
    rules: dict[str, tuple[str, Callable[[], Problem]]] = {
        f"sized{(time, classes, labels, batch)}": ("sized", partial(sized, time, classes, labels, batch)),
        f"sized{(time, classes, labels, batch, True)}": ("sized", partial(sized, time, classes, labels, batch, True)),
        **{
            f"next(case for case in CASES if case.name == {case.name!r}).problem()": ("CASES", case.problem)
            for case in CASES
            if case.full
        },
    }
    for expression, (needed, make) in rules.items():
        if make().shape == problem.shape and _same(with_blank(make(), problem.blank), problem):
            return [
                f"from seqloss.verify.cases import {needed}",
                *(["from seqloss.verify.runner import with_blank"] if problem.blank else []),
                *(["from seqloss.verify.runner import log_softmax"] if log_probs else []),
                "",
                f"p = {blank[0]}{expression}{blank[1]}",
                "logits = log_softmax(p.logits)" if log_probs else "logits = p.logits",
            ]
    return []


def _same(one: Problem, other: Problem) -> bool:
    """Whether they have the same targets: an implementation may have been told rounded scores."""
    return bool((one.targets == other.targets).all())


def _integers(array: np.ndarray) -> str:
    empty = f".reshape{array.shape}".replace(",)", ")") if array.size == 0 and array.ndim > 1 else ""
    return f"np.array({array.tolist()}{', int' if array.size == 0 else ''}){empty}"


def _numbers(array: np.ndarray) -> str:
    text = repr(array.tolist())
    text = re.sub(r"(?<![\w.])(-?)(inf|nan)", r"\1np.\2", text)
    return text if array.size else f"np.zeros({array.shape})"
