"""What every CPU kernel needs; nothing here depends on a loss.

`compilation.py` compiles a kernel and caches it on disk. `vectors.py` adds vectors to Numba, `bits.py` works on the
bits of floats, `exponentials.py` and `softmax.py` compute with vectors, `extended_exponent.py` has numbers of unlimited
range. `threads.py` divides a batch among threads, `workspace.py` and `pages.py` manage memory. `_compat.py` holds all
uses of Numba's private interfaces.
"""
