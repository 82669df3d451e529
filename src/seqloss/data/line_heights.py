"""The heights that images of lines can be scaled to; imports nothing, so that settings can ask for it."""

HEIGHTS = range(16, 513, 16)
"""In pixels. A line that is scaled higher is wider, too, and has more frames."""
