"""The private interface of another package that the verifier uses.

`tests/keras/test_compat.py` fails when a release moves it.
"""

from __future__ import annotations

from typing import Any


def keras_2_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Any:
    """`keras.backend.ctc_batch_cost` of Keras 2. Uses `keras.src.legacy.backend`."""
    from keras.src.legacy.backend import ctc_batch_cost

    return ctc_batch_cost(y_true, y_pred, input_length, label_length)
