"""Four trainings on synthetic words, three of which fail, each with its report: images of docs/guides/training-runs.md.

    python benchmarks/failing_runs.py [--out runs/failing] [--shots docs/img]

* healthy: `seqloss train ocr`, shortened.
* blocked: nothing flows back from the recurrent layer into the convolutions.
* blanks: a learning rate far too low; CTC's first and easiest step is to say blank everywhere, and there it stays.
* out of step: each image has the text of another one.

`--shots` takes a screenshot of each report with Chromium, and those of the healthy one that the README shows.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from PIL import Image
from rich.console import Console
from torch import Tensor

from seqloss.data.vocabulary import frames_needed
from seqloss.recipes import load_task
from seqloss.recipes.ocr.data import Synthetic, frames_of
from seqloss.recipes.ocr.network import Network
from seqloss.recipes.ocr.settings import Settings
from seqloss.recipes.ocr.task import OcrTask
from seqloss.report import write_report
from seqloss.training.engine import train
from seqloss.training.run import Run

SETTINGS: dict[str, Any] = {
    "epochs": 4,
    "batch": 32,
    "synthetic": 4096,
    "validation_synthetic": 150,
    "test_synthetic": 100,
}


@contextmanager
def healthy() -> Iterator[dict[str, Any]]:
    yield {}


@contextmanager
def blocked() -> Iterator[dict[str, Any]]:
    before = Network.forward

    def forward(self: Network, images: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        handle = self.before.register_forward_pre_hook(lambda module, given: tuple(x.detach() for x in given))
        try:
            return before(self, images, widths)
        finally:
            handle.remove()

    with patch.object(Network, "forward", forward):
        yield {}


@contextmanager
def blanks() -> Iterator[dict[str, Any]]:
    yield {"optimizer": "sgd", "lr": 2e-4}


@contextmanager
def out_of_step() -> Iterator[dict[str, Any]]:
    before = Synthetic.item

    def item(self: Synthetic, epoch: int, index: int) -> Any:
        image, _ = before(self, epoch, index)
        _, other = before(self, epoch, (index + 1) % len(self))
        room = frames_of(image.shape[1])
        return image, other if frames_needed(other) <= room else other[: max(1, room // 2)]

    with patch.object(Synthetic, "item", item):
        yield {}


RUNS = {"healthy": healthy, "blocked": blocked, "blanks": blanks, "out-of-step": out_of_step}


def screenshot(page: Path, file: Path, size: tuple[int, int], dark: bool = False) -> None:
    """A picture of the page's upper part, in a frame of this size: a window is never as narrow as a phone."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("--shots needs Chromium")
    file.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    frame = page.with_name("frame.html")
    style = f"position:fixed;left:0;top:0;border:0;width:{width}px;height:{height}px"
    frame.write_text(
        f'<meta name="color-scheme" content="light dark"><iframe src="{page.name}" style="{style}"></iframe>'
    )
    words = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    words += ["--blink-settings=preferredColorScheme=0"] * dark
    words += [f"--window-size={max(width, 600)},{height}", f"--screenshot={file.resolve()}", frame.resolve().as_uri()]
    subprocess.run(words, check=True, capture_output=True)
    frame.unlink()
    with Image.open(file) as picture:
        picture.crop((0, 0, width, height)).quantize(128).save(file, optimize=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=Path("runs/failing"))
    options.add_argument("--shots", type=Path)
    asked = options.parse_args()
    console = Console()
    for name, fault in RUNS.items():
        console.rule(name)
        with fault() as changes:
            train(OcrTask(Settings(**SETTINGS, **changes)), asked.out / name)
            page = write_report(load_task(asked.out / name), Run(asked.out / name))
        console.print(f"wrote {page}")
        if asked.shots:
            screenshot(page, asked.shots / f"run-{name}.png", (1180, 2400))
        if asked.shots and name == "healthy":
            for dark, light in ((False, "light"), (True, "dark")):
                screenshot(page, asked.shots / f"report-wide-{light}.png", (1280, 1000), dark)
                screenshot(page, asked.shots / f"report-phone-{light}.png", (390, 1000), dark)


if __name__ == "__main__":
    main()
