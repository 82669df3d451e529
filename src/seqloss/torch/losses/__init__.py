"""Losses on tensors that are one formula each, made of PyTorch's operations: any device, any order of derivative."""
