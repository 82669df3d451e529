"""What stands in a terminal as an SVG file without fonts from the network, which Rich's own template asks for."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType

TEMPLATE = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" fill="#0c0c0c"/>
<g transform="translate(9, 9)"><g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def draw_terminal(shown: RenderableType, columns: int, name: str) -> str:
    """The text of the SVG file.

    Args:
        shown: on the terminal.
        columns: of the terminal; about 70 can be read on a phone.
        name: of the picture, for its classes.
    """
    console = Console(record=True, width=columns, file=io.StringIO(), highlight=False)
    console.print(shown)
    return console.export_svg(code_format=TEMPLATE, unique_id=name)
