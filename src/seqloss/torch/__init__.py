"""The PyTorch door: losses of sequence training behind autograd.

* `ctc_loss`: connectionist temporal classification, from scores or log-probabilities.
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

from seqloss.torch.ctc import ctc_loss
from seqloss.torch.greedy import Greedy, ctc_greedy
from seqloss.torch.own import from_loss_and_grad

__all__ = ["Greedy", "ctc_greedy", "ctc_loss", "from_loss_and_grad"]
del _torch, missing_extra
