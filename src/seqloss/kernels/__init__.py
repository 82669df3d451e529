"""The fast implementations: arrays in, arrays out; no argument checks, no autograd.

* `numba/`: what any CPU kernel needs (compilation and its cache, vectors, exponentials, threads), for any loss.
* `ctc/`: the CPU kernels of CTC. A CPU kernel of another loss goes into a folder beside it.
* `triton/`: what any GPU kernel needs. `triton/ctc/`: the GPU kernels of CTC.
"""
