"""Losses on NumPy arrays that are one formula each, with gradients written by hand."""
