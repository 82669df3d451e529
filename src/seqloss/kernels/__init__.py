"""The fast implementations: arrays in, arrays out; no checks, no autograd.

To be read in this order: `vectors.py` (how vectors are written for Numba), `softmax.py` and `emissions.py` (what a
frame gives), `blocks.py` (the sums over paths, fast), `wide.py` and `recursion.py` (the same without limits),
`gradient.py`, `ctc.py` (a row, a batch), `cpu.py` (what the doors call). `bits.py`, `exponential.py`, `layout.py`,
`workspace.py`, `threads.py` and `compiled.py` serve them.
"""
