"""Losses on tensors of Keras' backend that are one formula each."""
