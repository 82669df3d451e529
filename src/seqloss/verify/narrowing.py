"""Implementations that convert float64 logits to float32: they are verified in float32, with a remark.

Many losses compute in float32 whatever they get. In float64 all their results would be off by 1e-7, and the laws would
say nothing else.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seqloss.verify.runner import CallFailed, Runner, round_to_dtype
from seqloss.verify.standard_problems import standard_problems


def narrow_types(runner: Runner) -> Runner:
    """A runner without float64 if float64 logits have the same results as if rounded to float32; else the same runner.

    Args:
        runner: of the widest type.

    Returns:
        the runner; the implementation of its executor has the same types.
    """
    types = runner.implementation.dtypes
    if types[0] != "float64" or "float32" not in types or not _rounds_logits(runner):
        return runner
    runner.executor.implementation = replace(runner.implementation, dtypes=types[1:])
    return Runner(runner.executor, types[1], runner.modified, narrowed=True)


def _rounds_logits(runner: Runner) -> bool:
    """Whether the results are, bit for bit, those of logits that were rounded to float32."""
    given = runner.adapt(standard_problems(runner.implementation.few_shapes)[0])
    try:
        wide = runner.finite_outputs(given)
        rounded = runner.finite_outputs(given.replace(logits=round_to_dtype(given.logits, "float32")))
    except CallFailed:
        return False
    pairs = ((wide.loss, rounded.loss), (wide.gradient, rounded.gradient))
    return all(a is b is None or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs)
