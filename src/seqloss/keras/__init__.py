"""The Keras 3 frontend: losses for sequence training on Keras' torch, JAX or TensorFlow backend.

* `CTC`: the CTC loss for `model.compile`, like `keras.losses.CTC`, but with real lengths.
* `pack`: put labels and lengths into one `y_true`, for `fit`.
* `ctc_loss`: the CTC loss (connectionist temporal classification) from logits or log-probabilities.
* `ctc_batch_cost`: a replacement for `keras.backend.ctc_batch_cost` of Keras 2.
* `ctc_check`: find the rows of a batch that cannot be trained on.
* `ctc_posteriors`: the probability of each class in each frame, given the target.
* `ctc_greedy`: greedy decoding, with scores and frame numbers.

Importing this module imports Keras, which fixes the backend of the process. The backend is taken from `KERAS_BACKEND`,
else from `keras.json`, else it is Keras' default, TensorFlow. If TensorFlow is not installed and you have chosen no
backend, this module sets `KERAS_BACKEND` to PyTorch or JAX: to one that is imported already, else to one that is
installed.
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
