"""The Keras 3 frontend: losses of sequence training on Keras' torch, JAX or TensorFlow backend.

* `CTC`: for `model.compile`; `keras.losses.CTC`, and real lengths from wherever you have them.
* `pack`: labels and lengths in one `y_true`, for `fit`.
* `ctc_loss`: connectionist temporal classification, from scores or log-probabilities.
* `ctc_batch_cost`: the function that `keras.backend` once had.
* `ctc_check`: which rows of a batch cannot be trained on, and why.
* `ctc_posteriors`: where in time each class stands, given the target.
* `ctc_greedy`: what the network says, label by label, with scores and frame numbers.

Importing this imports Keras, whose backend is then fixed for the process. It is what `KERAS_BACKEND` or your
`keras.json` says, or else Keras' default, TensorFlow. Where TensorFlow is not installed and you have chosen nothing,
`KERAS_BACKEND` is set to PyTorch or JAX, whichever is imported already or is installed, in this order.
"""

from seqloss.errors import missing_extra
from seqloss.keras.backend import choose_backend

try:
    choose_backend()
    import keras as _keras
except ModuleNotFoundError as error:
    if error.name != "keras":
        raise
    raise missing_extra("Keras", "keras", "seqloss.keras") from None

from seqloss.keras.ctc.batch_cost import ctc_batch_cost
from seqloss.keras.ctc.host import Finding, Greedy, Report, ctc_check, ctc_greedy, ctc_posteriors
from seqloss.keras.ctc.keras_loss import CTC
from seqloss.keras.ctc.loss import ctc_loss
from seqloss.keras.ctc.packed import pack

__all__ = [
    "CTC",
    "Finding",
    "Greedy",
    "Report",
    "ctc_batch_cost",
    "ctc_check",
    "ctc_greedy",
    "ctc_loss",
    "ctc_posteriors",
    "pack",
]
del _keras, choose_backend, missing_extra
