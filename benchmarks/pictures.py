"""The pictures that the guides open with, each drawn from a real computation, run or measurement.

    python benchmarks/pictures.py [NAME ...]   -> docs/img/NAME.svg
    python benchmarks/pictures.py --list

A new picture is at most six inches wide, so that its words can be read on a phone. The pictures of reports are made by
failing_runs.py, and that of clusters by `examples/entangled_clusters.py --out docs/img/entangled-clusters.png`.
"""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from pathlib import Path

import matplotlib

FOLDER = Path(__file__).parent / "guide_pictures"
IMAGES = FOLDER.parents[1] / "docs" / "img"
NAMES = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem != "__init__")
STYLE = {
    "svg.hashsalt": "seqloss",  # the same picture is the same file
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    if unknown := set(given.names) - set(NAMES):
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(NAMES)}")
    if given.list:
        print("\n".join(f"{name:20} {import_module(f'guide_pictures.{name}').__doc__}" for name in NAMES))
        return
    matplotlib.use("Agg")
    os.environ.setdefault("KERAS_BACKEND", "torch")  # else that of the machine's ~/.keras
    for name in given.names or NAMES:
        with matplotlib.rc_context(STYLE):
            drawn = import_module(f"guide_pictures.{name}").draw()
            file = IMAGES / f"{name.replace('_', '-')}.svg"
            if isinstance(drawn, str):
                file.write_text(drawn, encoding="utf-8")
            else:
                drawn.savefig(file, facecolor="white", metadata={"Date": None})
        print(name, flush=True)


if __name__ == "__main__":
    main()
