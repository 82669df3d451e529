"""An extension of Griffe, which reads the docstrings for the site: the section "Example:" is shown as code.

Griffe knows "Examples:"; anything else it takes for an admonition, in which `>>>` starts a quotation.
"""

from __future__ import annotations

import re
from typing import Any

import griffe


class ExampleSections(griffe.Extension):
    """Rename the sections before the docstrings are parsed."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = re.sub(r"(?m)^Example:$", "Examples:", obj.docstring.value)
