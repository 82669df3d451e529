"""The contract that every frontend keeps, as code.

* `arrays.py`: targets and lengths, checked once; `forms.py`: what of them is checked without their values.
* `reductions.py`: how the losses of a batch become one number.
* `ctc.py`: what CTC asks beyond that: enough frames, normalised log-probabilities.
* `constants.py`: the numbers that it fixes.

The wording of every refusal is in `seqloss.errors`.
"""

from seqloss.contract.arrays import Batch, bad_rows, validate
from seqloss.contract.constants import MASKED, NORMALIZATION_SLACK, SMALLEST
from seqloss.contract.ctc import (
    Infeasible,
    adjacent_repeats,
    check_normalized,
    check_options,
    infeasible_row,
    not_normalized,
    refuse_too_few_frames,
    required_frames,
)
from seqloss.contract.forms import Form, check_forms, form_of
from seqloss.contract.reductions import DIVISORS, Reduction, check_reduction, reduction_divisor, reduction_weights

__all__ = [
    "DIVISORS",
    "MASKED",
    "NORMALIZATION_SLACK",
    "SMALLEST",
    "Batch",
    "Form",
    "Infeasible",
    "Reduction",
    "adjacent_repeats",
    "bad_rows",
    "check_forms",
    "check_normalized",
    "check_options",
    "check_reduction",
    "form_of",
    "infeasible_row",
    "not_normalized",
    "reduction_divisor",
    "reduction_weights",
    "refuse_too_few_frames",
    "required_frames",
    "validate",
]
