"""The PyTorch frontend: losses of sequence training behind autograd.

* `ctc_loss`: connectionist temporal classification, from scores or log-probabilities.
* `CTCLoss`: the same in the place of torch.nn.CTCLoss, with its arguments, its value and its gradient.
* `ctc_check`: which rows of a batch cannot be trained on, and why.
* `ctc_posteriors`: where in time each class stands, given the target.
* `ctc_align`: which frames show which label, on the best path.
* `ctc_greedy`: what the network says, label by label, with scores and frame numbers.
* `from_loss_and_grad`: a loss of your own, given as a function that returns (loss, gradient).
"""

from seqloss.errors import missing_extra

try:
    import torch as _torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise missing_extra("PyTorch", "torch", "seqloss.torch") from None

from seqloss.numpy import Finding, Report
from seqloss.torch.ctc.align import Alignment, ctc_align
from seqloss.torch.ctc.check import ctc_check
from seqloss.torch.ctc.greedy import Greedy, ctc_greedy
from seqloss.torch.ctc.loss import ctc_loss
from seqloss.torch.ctc.module import CTCLoss
from seqloss.torch.ctc.posteriors import ctc_posteriors
from seqloss.torch.custom_loss import from_loss_and_grad

__all__ = [
    "Alignment",
    "CTCLoss",
    "Finding",
    "Greedy",
    "Report",
    "ctc_align",
    "ctc_check",
    "ctc_greedy",
    "ctc_loss",
    "ctc_posteriors",
    "from_loss_and_grad",
]
del _torch, missing_extra
