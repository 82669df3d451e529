"""CTC in JAX's own operations, for every platform that the CPU kernel cannot go to: CUDA, ROCm, TPU.

On a GPU what costs is the number of kernels that each frame launches, not what they compute. So one scan walks all rows
forward and backward at once, its step is elementwise but for one shift, and all that can be said of every frame at once
is said outside. In the order to read:

* `extended_exponent.py`: numbers without a range, from a float's bits.
* `scores.py`: the one pass over the scores that looks at every class.
* `walk.py`: the sums over paths, both ways in one scan.
* `total.py`: the loss, to its own digits where it is small.
* `by_class.py`: what the labels of one class have in common, in one order on every run.
* `loss.py`: losses and gradients.

No callback, no custom call, nothing that depends on a race: the same program gives the same bits on every run.
"""
