"""A caller who lets NumPy raise on every rounding is not stopped by ours."""

from __future__ import annotations

import numpy as np

from . import problems
from .door import Door

PROBLEM = problems.random(2, 12, 6, 4, scale=40.0)


def test_no_call_depends_on_numpys_error_state(door: Door) -> None:
    log_probs = np.maximum(problems.log_probabilities(PROBLEM.logits), -6e4)
    with np.errstate(all="raise"):
        door.loss_and_grad(PROBLEM.logits, *PROBLEM.args)
        door.loss(log_probs, *PROBLEM.args, normalize=False)
        door.posteriors(PROBLEM.logits, *PROBLEM.args)
        door.check(log_probs, *PROBLEM.args, normalize=False)
        door.greedy(PROBLEM.logits)
