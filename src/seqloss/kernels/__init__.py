"""The fast implementations: arrays in, arrays out; no checks, no autograd.

Read `wide.py` for the arithmetic, then `ctc.py` for the sums; `cpu.py` is what the doors call.
"""
