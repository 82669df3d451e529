"""A NumPy masked array is refused: its mask would be ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seqloss import numpy as losses
from seqloss.errors import DTypeError

SCORES = np.zeros((2, 4, 3), np.float32)
NUMBERS = np.zeros((2, 4))
LABELS = np.ones((2, 2), np.int64)
STEPS = np.ones((2, 4), np.int64)
LENGTHS = np.array([4, 3])
POINTS = np.array([[1.0, 0.0], [1.0, 0.5], [0.0, 1.0], [0.2, 1.0]])
KINDS = np.array([0, 0, 1, 1])

CALLS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "ctc_loss": (losses.ctc_loss, (SCORES, LABELS, LENGTHS)),
    "ctc_loss_and_grad": (losses.ctc_loss_and_grad, (SCORES, LABELS, LENGTHS)),
    "ctc_align": (losses.ctc_align, (SCORES, LABELS, LENGTHS)),
    "ctc_check": (losses.ctc_check, (SCORES, LABELS, LENGTHS)),
    "ctc_greedy": (losses.ctc_greedy, (SCORES, LENGTHS)),
    "ctc_posteriors": (losses.ctc_posteriors, (SCORES, LABELS, LENGTHS)),
    "masked_cross_entropy": (losses.masked_cross_entropy, (SCORES, STEPS, LENGTHS)),
    "masked_squared_error": (losses.masked_squared_error, (NUMBERS, NUMBERS, LENGTHS)),
    "masked_absolute_error": (losses.masked_absolute_error, (NUMBERS, NUMBERS, LENGTHS)),
    "time_weighted": (losses.time_weighted, (NUMBERS, LENGTHS)),
    "pairwise_kl_hinge": (losses.pairwise_kl_hinge, (POINTS, KINDS)),
    "cosine_triplet": (losses.cosine_triplet, (POINTS, POINTS, POINTS)),
    "soft_nearest_neighbor": (losses.soft_nearest_neighbor, (POINTS, KINDS)),
    "pick_triplets": (losses.pick_triplets, (POINTS, KINDS)),
    "check_probabilities": (losses.check_probabilities, (POINTS,)),
    "pair_threshold": (losses.pair_threshold, (np.arange(4.0), KINDS)),
    "pair_accuracy": (lambda *args: losses.pair_accuracy(*args, 1.0), (np.arange(4.0), KINDS)),
    "choose_threshold": (losses.choose_threshold, (np.arange(4.0), KINDS)),
    "measure_detection": (lambda *args: losses.measure_detection(*args, 1.0), (np.arange(4.0), KINDS)),
    "ErrorDistribution.fit": (losses.ErrorDistribution.fit, (POINTS,)),
    "equal_error_rate": (losses.equal_error_rate, (np.arange(4.0), KINDS)),
}
ARGUMENTS = [(name, place) for name, (_, arrays) in CALLS.items() for place in range(len(arrays))]


@pytest.mark.parametrize(("name", "place"), ARGUMENTS)
def test_a_masked_array_is_refused_with_what_to_give_instead(name: str, place: int) -> None:
    function, arrays = CALLS[name]
    function(*arrays)
    given = [np.ma.masked_array(array) if number == place else array for number, array in enumerate(arrays)]
    with pytest.raises(DTypeError, match=r"found a masked array, .* give the lengths, or mask=~x\.mask"):
        function(*given)


def test_a_masked_mask_is_refused() -> None:
    with pytest.raises(DTypeError, match=r"^mask: expected a plain array, found a masked array"):
        losses.masked_squared_error(NUMBERS, NUMBERS, mask=np.ma.masked_array(STEPS))
