"""A violation as a Python script that reproduces it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from seqloss.verify.cases import CASES, problem_of_lengths, problem_of_size
from seqloss.verify.implementation import Implementation
from seqloss.verify.layouts import LAYOUTS
from seqloss.verify.length_fractions import telling_lengths
from seqloss.verify.problem import Problem
from seqloss.verify.runner import swap_blank

LARGE = 400
"""Arrays with more entries are written as a call of the function that makes them, if there is one."""


def make_script(
    implementation: Implementation,
    dtype: str,
    problem: Problem,
    compared_with: Problem | None,
    expected: str,
    found: str,
    expression: str = "loss",
    gradient: bool = True,
) -> str:
    """Write a script with the call that violates a law, or the two calls that should agree.

    Args:
        implementation: the source of the function.
        dtype: of the logits.
        problem: the arguments of the call.
        compared_with: the arguments of a reference call, or None.
        expected: value, as text.
        found: value, as text.
        expression: what to print of `loss` and `gradient`.
        gradient: whether the function returns a gradient.

    Returns:
        the script.

    Example:
        >>> from seqloss.verify.problem import make_problem
        >>> one = make_problem([[[0.0, 0.5]]], [[1]])
        >>> print(make_script(Implementation("mine", "mine:ctc"), "float64", one, None, "loss 0.474", "loss 0.9"))
        import numpy as np
        from mine import ctc
        <BLANKLINE>
        logits = np.array([[[0.0, 0.5]]], np.float64)
        loss, gradient = ctc(logits, np.array([[1]]), np.array([1]), np.array([1]), 0)
        print(loss)
        # expected: loss 0.474
        # found:    loss 0.9
    """
    name, load = import_lines(implementation.source)
    answer = "loss, gradient" if gradient else "loss"
    log_probs = implementation.scores == "log_probs"
    lines = ["import numpy as np", *load, ""]
    if compared_with is not None:
        lines += [
            "# reference call:",
            *call_lines(name, compared_with, dtype, answer, log_probs),
            f"print({expression})",
            "",
        ]
    lines += [*call_lines(name, problem, dtype, answer, log_probs), f"print({expression})"]
    return "\n".join([*lines, f"# expected: {expected}", f"# found:    {found}"])


def import_lines(source: str | Callable) -> tuple[str, list[str]]:
    """The name of the function, and the lines that import it."""
    if not isinstance(source, str):
        return getattr(source, "__name__", "f"), []
    location, _, name = source.rpartition(":")
    if not location.endswith(".py"):
        return name, [f"from {location} import {name.partition('.')[0]}"]
    path = Path(location).resolve()
    if not path.stem.isidentifier():
        return name, ["import runpy", f"globals().update(runpy.run_path({str(path)!r}))"]
    outer = name.partition(".")[0]
    return name, ["import sys", f"sys.path.insert(0, {str(path.parent)!r})", f"from {path.stem} import {outer}"]


def call_lines(name: str, problem: Problem, dtype: str, answer: str, log_probs: bool = False) -> list[str]:
    """The lines that make the arguments and the call."""
    upstream = "" if problem.upstream is None else f", upstream=np.array({problem.upstream.tolist()})"
    numpy_type = "float32" if dtype == "bfloat16" else dtype
    large = _lines_by_rule(problem, log_probs) if problem.logits.size > LARGE or problem.targets.size > LARGE else []
    if large:
        return [
            *large,
            f"{answer} = {name}(logits.astype(np.{numpy_type}), p.targets, p.logit_lengths, p.target_lengths, p.blank)",
        ]
    integers = [_format_integers(array) for array in (problem.targets, problem.logit_lengths, problem.target_lengths)]
    lines = [f"logits = np.array({_format_floats(problem.logits)}, np.{numpy_type})"]
    if problem.layout:
        lines += [f"targets, frames, labels = {', '.join(integers)}", *LAYOUTS[problem.layout].lines]
        integers = ["targets", "frames", "labels"]
    return [*lines, f"{answer} = {name}(logits, {', '.join(integers)}, {problem.blank}{upstream})"]


def _lines_by_rule(problem: Problem, log_probs: bool) -> list[str]:
    """The lines that make the problem `p` and `logits` with a function of `cases`; none if no function makes it."""
    batch, time, classes, labels = problem.shape
    blank = ("", "") if problem.blank == 0 else ("swap_blank(", f", {problem.blank})")
    rules: dict[str, tuple[str, Callable[[], Problem]]] = {
        f"problem_of_size{(time, classes, labels, batch)}": (
            "problem_of_size",
            partial(problem_of_size, time, classes, labels, batch),
        ),
        f"problem_of_size{(time, classes, labels, batch, True)}": (
            "problem_of_size",
            partial(problem_of_size, time, classes, labels, batch, True),
        ),
        **{
            f"next(case for case in CASES if case.name == {case.name!r}).problem()": ("CASES", case.problem)
            for case in CASES
            if case.full
        },
        **{
            f"problem_of_lengths({time}).select_rows([{n}])": ("problem_of_lengths", partial(_row_of_lengths, time, n))
            for n in (range(2 * len(telling_lengths(time))) if time == labels else ())
        },
    }
    for expression, (needed, make) in rules.items():
        if make().shape == problem.shape and _same_labels_and_lengths(swap_blank(make(), problem.blank), problem):
            return [
                f"from seqloss.verify.cases import {needed}",
                *(["from seqloss.verify.runner import swap_blank"] if problem.blank else []),
                *(["from seqloss.verify.runner import log_softmax"] if log_probs else []),
                "",
                f"p = {blank[0]}{expression}{blank[1]}",
                "logits = log_softmax(p.logits)" if log_probs else "logits = p.logits",
            ]
    return []


def _row_of_lengths(axis: int, row: int) -> Problem:
    return problem_of_lengths(axis).select_rows([row])


def _same_labels_and_lengths(one: Problem, other: Problem) -> bool:
    """Whether targets and lengths are equal. Scores can differ: they are rounded to the type of the call."""
    names = ("targets", "logit_lengths", "target_lengths")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def _format_integers(array: np.ndarray) -> str:
    empty = f".reshape{array.shape}".replace(",)", ")") if array.size == 0 and array.ndim > 1 else ""
    return f"np.array({array.tolist()}{', int' if array.size == 0 else ''}){empty}"


def _format_floats(array: np.ndarray) -> str:
    text = repr(array.tolist())
    text = re.sub(r"(?<![\w.])(-?)(inf|nan)", r"\1np.\2", text)
    return text if array.size else f"np.zeros({array.shape})"
