"""The NumPy frontend: arrays in, arrays out. The other frontends use it for whatever happens on the host.

* `ctc_loss`, `ctc_loss_and_grad`: connectionist temporal classification, from scores or log-probabilities.
* `ctc_check`: which rows of a batch cannot be trained on, and why.
* `ctc_posteriors`: where in time each class stands, given the target.
* `ctc_align`: which frames show which label, on the best path.
* `ctc_greedy`: what the network says, label by label, with scores and frame numbers.
"""

from seqloss.numpy.ctc.align import Alignment, ctc_align
from seqloss.numpy.ctc.check import Finding, Report, ctc_check
from seqloss.numpy.ctc.greedy import Greedy, ctc_greedy
from seqloss.numpy.ctc.loss import ctc_loss, ctc_loss_and_grad
from seqloss.numpy.ctc.posteriors import ctc_posteriors

__all__ = [
    "Alignment",
    "Finding",
    "Greedy",
    "Report",
    "ctc_align",
    "ctc_check",
    "ctc_greedy",
    "ctc_loss",
    "ctc_loss_and_grad",
    "ctc_posteriors",
]
