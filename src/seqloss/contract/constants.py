"""Numbers that the contract fixes."""

NORMALIZATION_SLACK = 1e-3
"""With `normalize=False`, how far above 1 a frame's probabilities may add up."""

SMALLEST = 2.0**-126
"""Entries of a gradient under this, float32's smallest normal number, are exactly 0: some hosts flush them anyway."""

MASKED = 1e8
"""A score this many nats below its frame's largest counts as -inf: people write float minimum for a mask."""
