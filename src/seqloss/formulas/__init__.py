"""Losses as whole-array arithmetic, written once over the operations that a framework lends (`namespace.py`).

For frameworks whose compiler wants their own operations (XLA on a GPU or TPU), where the CPU kernels cannot run, and
for losses that are one formula. Each loss is a file, or a folder as `ctc/`.
"""
