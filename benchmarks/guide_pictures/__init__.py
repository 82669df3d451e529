"""One picture in each file: `draw()` returns the figure, or the text of an SVG file."""
