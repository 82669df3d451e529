"""What is particular to the JAX frontend."""
