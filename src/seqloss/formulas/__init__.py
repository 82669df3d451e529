"""Losses as whole-array arithmetic, written once over the few operations of `namespace.Namespace`.

For frameworks whose compiler wants their own operations (XLA): on a GPU or TPU, where the CPU kernels cannot go.
"""
