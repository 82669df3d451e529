"""What is particular to the JAX door."""
