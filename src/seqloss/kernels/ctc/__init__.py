"""The CPU kernels of CTC.

Suggested reading order: `rows.py` (the steps of a row), `emissions.py` (the emissions of a frame), `blocks.py`,
`forward.py` and `backward.py` (the sums over paths, fast), `recursion.py` (the same in extended-exponent numbers),
`gradient.py`, `batch.py` (the entry points for the frontends). `align.py` finds the best path; `halves.py` and
`huge_rows.py` compute rows that are worth several threads; `layout.py` and `scratch.py` lay out the scratch of a row.
"""
