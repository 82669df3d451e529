"""What a GPU or TPU would run, compiled here: within its budget on large and hard batches, float32 and float64.

The whole contract suite on it takes minutes: `make test-long`.
"""

from __future__ import annotations

import pytest

from ..contract.jax_door import JaxArraysDoor
from ..contract.problems import NAMED
from ..contract.test_agreement import assert_agrees


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "name", ["phone", "scores times 1500", "masked to -1e4", "sure by 16", "sure by 20, wrong in places"]
)
def test_large_and_hard_batches_agree(dtype: str, name: str) -> None:
    assert_agrees(JaxArraysDoor(dtype), NAMED[name])
