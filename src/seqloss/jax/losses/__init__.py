"""Losses under JAX's transformations that are one formula each, made of JAX's operations."""
