"""CTC on NumPy arrays."""
