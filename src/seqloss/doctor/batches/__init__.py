"""What any batch of a training holds: its parts, its rows, their lengths and their padding."""
