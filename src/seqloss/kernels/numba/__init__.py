"""What every CPU kernel needs; nothing here knows a loss.

`compilation.py` compiles a kernel and caches it on disk. `vectors.py` writes vectors for Numba, `bits.py` works on the
bits of floats, `exponentials.py` and `softmax.py` compute with them, `extended_exponent.py` has numbers of unlimited
range. `threads.py` shares a batch between threads, `workspace.py` and `pages.py` manage memory. `_compat.py` holds
what is private to Numba.
"""
