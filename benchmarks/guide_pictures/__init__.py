"""One picture in each file: `draw()` returns the figure."""
