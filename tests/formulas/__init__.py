"""The whole-array formulas, held against the definition with NumPy for a framework."""
