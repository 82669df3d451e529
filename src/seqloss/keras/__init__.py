"""The Keras 3 door: losses of sequence training on Keras' torch, JAX or TensorFlow backend.

* `CTC`: for `model.compile`; `keras.losses.CTC`, and real lengths from wherever you have them.
* `pack`: labels and lengths in one `y_true`, for `fit`.
* `ctc_loss`: connectionist temporal classification, from scores or log-probabilities.
* `ctc_batch_cost`: the function that `keras.backend` once had.
* `ctc_check`: which rows of a batch cannot be trained on, and why.
* `ctc_posteriors`: where in time each class stands, given the target.
* `ctc_greedy`: what the network says, label by label, with scores and frame numbers.

Importing this imports Keras, whose backend is then fixed for the process.
"""

from seqloss.errors import missing_extra

try:
    import keras as _keras
except ModuleNotFoundError as error:
    if error.name != "keras":
        raise
    raise missing_extra("Keras", "keras", "seqloss.keras") from None

from seqloss.keras.batch_cost import ctc_batch_cost
from seqloss.keras.ctc import ctc_loss
from seqloss.keras.host import Finding, Greedy, Report, ctc_check, ctc_greedy, ctc_posteriors
from seqloss.keras.losses import CTC
from seqloss.keras.packed import pack

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
del _keras, missing_extra
