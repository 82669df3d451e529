"""The NumPy frontend. The other frontends use it for computations on the host.

* `ctc_loss`, `ctc_loss_and_grad`: the CTC loss (connectionist temporal classification), and its gradient.
* `ctc_check`: find the rows of a batch that cannot be trained on.
* `ctc_posteriors`: the probability of each class in each frame, given the target.
* `ctc_align`: the most probable alignment of a target with the frames.
* `ctc_greedy`: greedy decoding, with scores and frame numbers.
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
