"""What a GPU or TPU would run, compiled here: within its budget on large and hard batches, float32 and float64.

The whole contract suite on it takes minutes: `make test-long`.
"""

from __future__ import annotations

import numpy as np
import pytest

import seqloss.numpy as host

from ..contract.frontend import HALF
from ..contract.jax_frontend import JaxArraysFrontend
from ..contract.problems import NAMED
from ..contract.test_agreement import assert_agrees
from ..contract.test_half_types import assert_log_probabilities_are_taken_for_what_they_are


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "name",
    [
        "phone",
        pytest.param("scores times 1500", marks=pytest.mark.long),
        pytest.param("masked to -1e4", marks=pytest.mark.long),
        pytest.param("sure by 16", marks=pytest.mark.long),
        "sure by 20, wrong in places",
    ],
)
def test_large_and_hard_batches_agree(dtype: str, name: str) -> None:
    assert_agrees(JaxArraysFrontend(dtype), NAMED[name])


ROWS = ["ordinary", "too long", "every path closed", "masked", "NaN", "+inf", "nothing open", "no label", "no frame"]


def hard_rows() -> tuple[np.ndarray, ...]:
    """One row of each kind, garbage past their lengths: logits, targets, frames, labels. The blank is 2."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(len(ROWS), 9, 6)).astype(np.float16).astype(np.float32)
    targets = rng.integers(0, 5, (len(ROWS), 4))
    targets += targets >= 2
    frames, labels = np.array([9, 5, 7, 9, 6, 6, 6, 8, 0]), np.array([4, 4, 3, 4, 2, 2, 2, 0, 0])
    long, closed, masked, nan, infinite, shut = (ROWS.index(name) for name in ROWS[1:7])
    targets[long] = 1
    logits[closed, :, targets[closed, 1]] = -np.inf
    logits[masked, 2:5, 2] = -np.inf
    logits[nan, 3, targets[nan, 0]], logits[infinite, 5, 2], logits[shut, 2] = np.nan, np.inf, -np.inf
    for row in range(len(ROWS)):
        logits[row, frames[row] :] = np.nan
        targets[row, labels[row] :] = -100
    return logits, targets, frames, labels


@pytest.mark.parametrize(
    ("dtype", "normalize"),
    [("float32", True), ("float32", False), *(pytest.param(half, True, marks=pytest.mark.long) for half in HALF)],
)
def test_rows_of_every_kind_side_by_side_are_what_the_cpu_kernel_makes_of_each(dtype: str, normalize: bool) -> None:
    logits, *args = hard_rows()
    frontend, options = JaxArraysFrontend(dtype), {"blank": 2, "normalize": normalize, "validate": False}
    upstream = np.array([-1.0, 2.0, 3.0, 0.5, 1.0, 1.0, 1.0, 2.0, 7.0])
    loss, grad = frontend.loss_and_grad(logits, *args, upstream=upstream, **options)
    expected, slope = host.ctc_loss_and_grad(frontend.rounded(logits).astype(np.float32), *args, **options)
    assert [ROWS[n] for n in np.flatnonzero(np.isnan(expected))] == ["NaN", "+inf", *["nothing open"] * normalize]
    assert np.isinf(expected).sum() == (2 if normalize else 3)
    np.testing.assert_allclose(loss, expected, rtol=3e-6)
    exact = np.where(np.isinf(expected)[:, None, None], 0.0, slope * upstream[:, None, None])
    near = {"float32": 0.0, "float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype]
    np.testing.assert_allclose(grad, exact, rtol=3e-6 + near, atol=2e-6)
    assert not grad[np.arange(9) >= args[1][:, None]].any()
    assert not grad[np.isinf(expected)].any()


@pytest.mark.parametrize("dtype", [pytest.param("float16", marks=pytest.mark.long), "bfloat16"])
def test_log_probabilities_of_a_half_type_are_not_refused_for_its_rounding(dtype: str) -> None:
    """The contract suite has this path in float32 and float64 alone."""
    assert_log_probabilities_are_taken_for_what_they_are(JaxArraysFrontend(dtype), 1000)
