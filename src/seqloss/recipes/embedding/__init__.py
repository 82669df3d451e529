"""Shared by recipes that learn embeddings: batches of labelled items, losses of pairs and triplets, metrics of a whole
split, checks."""
