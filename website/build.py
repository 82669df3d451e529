"""Build the site with Zensical, and fail on every warning.

`zensical build --strict` knows its own warnings. What mkdocstrings says of a docstring is only printed: here it fails
the build as well. The cache is emptied first, because a page that comes from it is not warned of again.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXPECTED = re.compile(r"Build started|Build finished in .*|No issues found|")


def build() -> int:
    """Build, print what Zensical prints, and return the exit status."""
    zensical = str(Path(sys.executable).with_name("zensical"))
    done = subprocess.run([zensical, "build", "--clean", "--strict"], capture_output=True, text=True, check=False)
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    print("\n".join(lines))
    return done.returncode or int(any(EXPECTED.fullmatch(line.strip()) is None for line in lines))


if __name__ == "__main__":
    sys.exit(build())
