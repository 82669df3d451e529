"""What Griffe, which reads the docstrings for mkdocstrings, has to be told of this project's.

A session stands below `Example:`, as Google's style has it. Griffe knows `Examples:` only, and takes the session for
text with links and emphasis.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

HEADING = re.compile(r"^(\s*)Example:$", re.MULTILINE)


class ExampleSections(Extension):
    """Give the section of an example the name that Griffe knows."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = HEADING.sub(r"\1Examples:", obj.docstring.value)
