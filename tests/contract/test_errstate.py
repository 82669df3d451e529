"""A caller who lets NumPy raise on every rounding is not stopped by ours."""

from __future__ import annotations

import numpy as np

from . import problems
from .frontend import Frontend

PROBLEM = problems.random(2, 12, 6, 4, scale=40.0)


def test_no_call_depends_on_numpys_error_state(frontend: Frontend) -> None:
    log_probs = np.maximum(problems.log_probabilities(PROBLEM.logits), -6e4)
    with np.errstate(all="raise"):
        frontend.loss_and_grad(PROBLEM.logits, *PROBLEM.args)
        frontend.loss(log_probs, *PROBLEM.args, normalize=False)
        frontend.posteriors(PROBLEM.logits, *PROBLEM.args)
        frontend.check(log_probs, *PROBLEM.args, normalize=False)
        frontend.greedy(PROBLEM.logits)
