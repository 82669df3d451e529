"""What the contract suite needs to know of a frontend: one adapter per frontend, here bound to one type of the scores.

To bring a further frontend under the contract, see docs/contributing/adding-a-frontend.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import ml_dtypes
import numpy as np
import pytest

from seqloss.numpy import Alignment, Greedy, Report

HALF = ("float16", "bfloat16")


@dataclass(frozen=True)
class Frontend(ABC):
    """One frontend, given scores of one type.

    Scores come as anything that NumPy can read, labels and lengths as arrays or lists; an array that has the frontend's
    type already is handed on with its memory and strides, where the framework can.

    Attributes:
        name: what tests call it.
        concatenated: takes the labels of all rows one after another, 1-D; a frontend that does not says how to pad.
        strides: its arrays may have any.
        kernel: "cpu" for the kernel that all such frontends share, so that their bits agree; "gpu" for the Triton
            kernels, with an error budget of their own; "whole-array" for the formula that a framework compiles itself,
            with that budget and no promise on bits.
        traced_gradient: what is differentiated has no values yet when the frontend is called, so that errors about
            scores come when the program runs: the framework's own, with the contract's text in it; from "whole-array",
            NaN.
        sees_scores: what only scores say is raised; of scores on a device, which nothing waits for, it is NaN.
        few_shapes: each new shape costs a compilation, so that drawn problems keep to few.
        aligns: has `ctc_align`.
        long: takes minutes, and runs by `make test-long` alone.
    """

    dtype: str

    name: ClassVar[str]
    concatenated: ClassVar[bool] = True
    strides: ClassVar[bool] = True
    kernel: ClassVar[Literal["cpu", "gpu", "whole-array"]] = "cpu"
    traced_gradient: ClassVar[bool] = False
    sees_scores: ClassVar[bool] = True
    few_shapes: ClassVar[bool] = False
    aligns: ClassVar[bool] = False
    long: ClassVar[bool] = False

    @property
    def few_tests(self) -> bool:
        """Whether `make test` asks it a few questions, see `conftest.FEW`, and `make test-long` all of them.

        So it is where a frontend hands its arguments to another one of the suite, or where JAX compiles the same
        program once more for another type.
        """
        return False

    def refuses_scores(self, call: Callable[[], np.ndarray], error: type[Exception], words: str) -> None:
        """Assert that a call is refused, in words that a pattern finds, for what its scores alone say; or is NaN."""
        if self.sees_scores:
            with pytest.raises(error, match=words):
                call()
        else:
            assert np.isnan(call()).any()

    @property
    def same_kernel(self) -> bool:
        return self.kernel == "cpu"

    @property
    def same_bits(self) -> bool:
        """Whether a row's bits follow from the row alone."""
        return self.kernel != "whole-array"

    @property
    def half(self) -> bool:
        return self.dtype in HALF

    @property
    def computed_in(self) -> np.dtype:
        return np.dtype(np.float64 if self.dtype == "float64" else np.float32)

    @property
    def stored(self) -> np.dtype:
        """NumPy's type for the scores."""
        return np.dtype(ml_dtypes.bfloat16 if self.dtype == "bfloat16" else self.dtype)

    def of(self, dtype: str) -> Self:
        """The same frontend, given scores of another type."""
        return replace(self, dtype=dtype)

    @abstractmethod
    def rounded(self, values: Any) -> np.ndarray:
        """The scores that the frontend really gets, in float64."""

    @abstractmethod
    def log_softmax(self, scores: Any) -> np.ndarray:
        """Log-probabilities over the last axis as the framework itself computes them in this type."""

    @abstractmethod
    def loss(self, logits: Any, targets: Any, *args: Any, **options: Any) -> np.ndarray:
        """`ctc_loss` without a gradient; the array has the type that the frontend answers in."""

    @abstractmethod
    def loss_and_grad(
        self, logits: Any, targets: Any, *args: Any, upstream: Any = None, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """`ctc_loss` and the gradient of sum(upstream * loss), 1 for None; bfloat16 comes as float32."""

    @abstractmethod
    def posteriors(self, logits: Any, targets: Any, *args: Any, **options: Any) -> np.ndarray:
        """`ctc_posteriors`."""

    def align(self, logits: Any, targets: Any, *args: Any, **options: Any) -> Alignment:
        """`ctc_align`, if the frontend has it."""
        raise NotImplementedError

    @abstractmethod
    def check(self, logits: Any, targets: Any, *args: Any, **options: Any) -> Report:
        """`ctc_check`."""

    @abstractmethod
    def greedy(self, logits: Any, *args: Any, **options: Any) -> list[Greedy]:
        """`ctc_greedy`."""
