"""Two implementations of one model: the first place where they part, and the likely cause.

Every place, a layer's output, the loss or a gradient, is a pair of arrays. Their shapes must be the same, and each pair
of entries a, b must fulfil

    |a - b| <= atol + rtol * largest,        largest: the size of the largest finite entry of the two arrays

so that an entry that is 0 but for rounding does not part. An entry of 1e4 or more that both have, to the bit, is a
mask, and does not count as the largest. NaN is the same as NaN, inf as inf of its sign.

By default `rtol` follows from the coarser type of the two: 64 ulp for float64 (2^-46) and float32 (2^-17), 4 ulp for
float16 (2^-8) and bfloat16 (2^-5), whose layers are mostly summed in float32 and rounded once; 0 for integers. What one
layer is off by, the next carries on, and may enlarge: a deep or recurrent network needs more than its first layer does.

Where they part, causes are tried one by one: are the arrays equal if two axes are swapped, if one is multiplied by a
number, and so on (`causes`). What fits is a hint, no proof.
"""

from seqloss.doctor.comparison.comparison import Comparison, compare

__all__ = ["Comparison", "compare"]
