"""The contract that every frontend keeps, as code.

* `arrays.py`: targets and lengths, checked once; `forms.py`: what of them is checked without their values.
* `reductions.py`: how the losses of a batch become one number.
* `probabilities.py`: how probabilities are told from scores.
* `probability_rows.py`: which rows are no probabilities, and why.
* `float_lengths.py`: what lengths that are floats seem to be.
* `argument_names.py`: errors in the words of a replacement's arguments.
* `points.py`: points and labels of the losses that compare the rows of a batch; `pairs.py`: the options of those of
  pairs and triplets; `neighbors.py`: the temperature and the neighbours of the soft nearest neighbour loss.
* `ctc.py`: what CTC asks beyond that: enough frames, normalised log-probabilities.
* `steps.py`: which steps of a padded batch are real, for losses of single steps; `step_weights.py`: their weights.
* `constants.py`: the numbers that it fixes.

The wording of every refusal is in `seqloss.errors`.
"""

from seqloss.contract.argument_names import ArgumentNames, WordReplacements, current_argument_names, rename_arguments
from seqloss.contract.arrays import Batch, as_array, as_integer_array, bad_rows, validate
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
from seqloss.contract.float_lengths import refuse_fractions
from seqloss.contract.forms import Form, check_forms, form_of
from seqloss.contract.neighbors import (
    Metric,
    check_temperature,
    check_temperature_shape,
    count_lone_points,
    needs_float64,
    warn_of_lone_points,
)
from seqloss.contract.options import check_option
from seqloss.contract.pairs import ClassReduction, Hinge, Negatives, check_margin, check_pair_reduction, check_seed
from seqloss.contract.points import PointReduction, check_point_labels, check_points, check_same_shapes
from seqloss.contract.probabilities import (
    SUM_SLACK,
    look_like_probabilities,
    probabilities_for_scores,
    refuse_probabilities,
)
from seqloss.contract.probability_rows import (
    BadProbabilities,
    ProbabilityProblem,
    bad_probability_rows,
    refuse_bad_probabilities,
)
from seqloss.contract.reductions import (
    DIVISORS,
    Reduction,
    check_reduction,
    reduction_divisor,
    reduction_weights,
    step_divisor,
)
from seqloss.contract.step_weights import StepWeight, check_step_weight, check_step_weights
from seqloss.contract.steps import (
    STEPS_GIVEN_BY,
    as_step_array,
    check_classes,
    check_numbers,
    check_padding,
    check_steps,
    fits,
    is_nan,
)

__all__ = [
    "DIVISORS",
    "MASKED",
    "NORMALIZATION_SLACK",
    "SMALLEST",
    "STEPS_GIVEN_BY",
    "SUM_SLACK",
    "ArgumentNames",
    "BadProbabilities",
    "Batch",
    "ClassReduction",
    "Form",
    "Hinge",
    "Infeasible",
    "Metric",
    "Negatives",
    "PointReduction",
    "ProbabilityProblem",
    "Reduction",
    "StepWeight",
    "WordReplacements",
    "adjacent_repeats",
    "as_array",
    "as_integer_array",
    "as_step_array",
    "bad_probability_rows",
    "bad_rows",
    "check_classes",
    "check_forms",
    "check_margin",
    "check_normalized",
    "check_numbers",
    "check_option",
    "check_options",
    "check_padding",
    "check_pair_reduction",
    "check_point_labels",
    "check_points",
    "check_reduction",
    "check_same_shapes",
    "check_seed",
    "check_step_weight",
    "check_step_weights",
    "check_steps",
    "check_temperature",
    "check_temperature_shape",
    "count_lone_points",
    "current_argument_names",
    "fits",
    "form_of",
    "infeasible_row",
    "is_nan",
    "look_like_probabilities",
    "needs_float64",
    "not_normalized",
    "probabilities_for_scores",
    "reduction_divisor",
    "reduction_weights",
    "refuse_bad_probabilities",
    "refuse_fractions",
    "refuse_probabilities",
    "refuse_too_few_frames",
    "rename_arguments",
    "required_frames",
    "step_divisor",
    "validate",
    "warn_of_lone_points",
]
