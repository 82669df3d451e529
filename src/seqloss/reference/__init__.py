"""The reference implementation of CTC in float64 NumPy, written for readability. All kernels are tested against it.

Read it in this order:

1. `paths`: the loss by listing all paths: the definition.
2. `ctc`: the same by the forward-backward recursion, in time proportional to frames times labels. `semiring` defines
   its sums and products, `lattice` its states.
3. `complement`: the precision of small losses: the probability of failure as a sum instead of a difference.
4. `scores`: how logits are preprocessed: masks, NaN, softmax.
5. `alignment`: the best path, and the choice among equal paths.

This package and the kernels do not import each other.
"""

from seqloss.reference.alignment import Alignment, ctc_align
from seqloss.reference.ctc import ctc_loss_and_grad, ctc_posteriors

__all__ = ["Alignment", "ctc_align", "ctc_loss_and_grad", "ctc_posteriors"]
