"""Compare two implementations of a model: the first tensor at which they diverge, and the likely cause.

The tensors are layer outputs, the loss and gradients. Two tensors agree if their shapes are equal and all entries a, b
satisfy

    |a - b| <= atol + rtol * largest

where `largest` is the largest absolute value of the finite entries of both tensors. So entries that are 0 except for
rounding do not count as different. An entry of 1e4 or more that is identical in both is a mask, and is excluded from
`largest`. NaN equals NaN, and inf equals inf of the same sign.

The default `rtol` depends on the less precise type of the two: 64 ulp for float64 (2^-46) and float32 (2^-17), 4 ulp
for float16 (2^-8) and bfloat16 (2^-5), whose layers usually sum in float32 and round once; 0 for integers. Differences
grow from layer to layer: a deep or recurrent network needs a larger `rtol`.

For the first divergence, likely causes are tried one after another: are the tensors equal if two axes are swapped, if
one is multiplied by a number, and so on (`causes`). The result is a hint, not a proof.
"""

from seqloss.doctor.comparison.comparison import Comparison, compare

__all__ = ["Comparison", "compare"]
