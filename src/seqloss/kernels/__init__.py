"""The fast implementations: arrays in, arrays out; no checks, no autograd.

To be read in this order: `wide.py` (the arithmetic), `vectors.py` (how it is written for Numba), `softmax.py` and
`emissions.py` (what a frame gives), `recursion.py` (the sums over paths), `ctc.py` (a row, a batch), `cpu.py` (what the
doors call). `layout.py`, `workspace.py`, `threads.py` and `compiled.py` serve them.
"""
