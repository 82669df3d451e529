"""The definition of CTC, written to be read and to check everything fast against; float64, NumPy alone.

Read in this order:

1. `paths`: what the loss is, by listing every path. Nothing in it is clever, so nothing in it can be wrong
   quietly.
2. `ctc`: the same numbers by Graves' recursion, in time proportional to frames times labels. It is the file
   whose style the maths of this project follows. `semiring` is what its sums and products stand for.
3. `complement`: what keeps the digits of a small loss: the probability of failing, summed instead of
   subtracted.
4. `scores`: how the contract reads a row of logits: masks, NaN, softmax.
5. `alignment`: the one best path, and which it is among equals.

Nothing fast imports this package, and it imports nothing fast: they check each other.
"""

from seqloss.reference.alignment import Alignment, ctc_align
from seqloss.reference.ctc import ctc_loss_and_grad, ctc_posteriors

__all__ = ["Alignment", "ctc_align", "ctc_loss_and_grad", "ctc_posteriors"]
