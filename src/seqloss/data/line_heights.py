"""The heights that images of lines can be scaled to; without Pillow, so that settings can ask for it."""

from seqloss.errors import OptionError

HEIGHTS = range(16, 513, 16)
"""In pixels. A line that is scaled higher is wider, too, and has more frames."""


def check_height(height: int) -> None:
    """Raise `OptionError` for another height."""
    if height not in HEIGHTS:
        expected = f"a multiple of {HEIGHTS.step} from {HEIGHTS[0]} to {HEIGHTS[-1]}"
        raise OptionError(f"--height: found {height}, expected {expected}.")
