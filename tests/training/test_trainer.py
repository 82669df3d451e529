"""How a training ends by a signal; tests/cli/test_signals.py sends real ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from seqloss.training.trainer import TERMINATED, forward_signals


def trainer(received_sigterm: bool) -> Any:
    return SimpleNamespace(received_sigterm=received_sigterm)


@pytest.mark.parametrize("problem", [RuntimeError("DataLoader worker (pid 7) is killed"), EOFError(), OSError()])
def test_an_error_after_sigterm_is_an_end_by_sigterm(problem: Exception) -> None:
    with pytest.raises(SystemExit) as left, forward_signals(trainer(received_sigterm=True)):
        raise problem
    assert left.value.code == TERMINATED


def test_a_worker_that_is_killed_without_sigterm_to_the_run_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="is killed"), forward_signals(trainer(received_sigterm=False)):
        raise RuntimeError("DataLoader worker (pid 7) is killed")
