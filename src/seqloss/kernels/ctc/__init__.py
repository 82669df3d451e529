"""The CPU kernels of CTC.

To be read in this order: `emissions.py` (what a frame contributes), `blocks.py`, `forward.py` and `backward.py` (the
sums over paths, fast), `recursion.py` (the same with extended exponents), `gradient.py`, `rows.py` (a row, a batch),
`batch.py` (what the frontends call). `align.py` finds the best path; `halves.py` and `huge_rows.py` compute rows that
are worth several threads; `layout.py` and `scratch.py` say where a row's numbers are stored.
"""
