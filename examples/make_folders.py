"""Write a small folder of images or of recordings with their texts, in the layout of your own data.

    python examples/make_folders.py images numbers
    python examples/make_folders.py recordings voices

Images show house numbers; their texts are in `labels.csv`. Recordings are words of vowels, sung by four synthetic
speakers; their texts are in `manifest.csv`. To try the other examples without a download: real data are harder.
"""

import argparse
import csv
import wave
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

VOWELS = {"a": (750, 1200), "e": (450, 1900), "i": (280, 2300), "o": (450, 850), "u": (300, 700)}  # formants in Hz
WORDS = ["ai", "au", "ea", "io", "oe", "ui", "eu", "iau"]
SPEAKERS = {"ada": (210, 1.15), "ben": (110, 0.95), "cleo": (180, 1.02), "dan": (140, 0.87)}  # pitch in Hz, formants
RATE = 8000


def make_images(folder: Path, rows: int, rng: np.random.Generator) -> None:
    font = ImageFont.load_default(22)
    lines = [["filename", "words", "split"]]
    for number in range(rows):
        text = str(rng.integers(1, 1000))
        image = Image.new("L", (round(font.getlength(text)) + 8, 32), 220)
        ImageDraw.Draw(image).text(rng.integers(1, 8, 2).tolist(), text, fill=40, font=font)
        grey = np.asarray(image) + rng.normal(0, 15, (image.height, image.width))
        Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
        lines.append([f"{number}.png", text, "test" if number % 5 == 0 else "train"])
    write_table(folder / "labels.csv", lines)


def make_recordings(folder: Path, rows: int, rng: np.random.Generator) -> None:
    lines = [["path", "text", "speaker", "split"]]
    for number in range(rows):
        text, speaker = " ".join(rng.choice(WORDS, rng.integers(1, 4))), list(SPEAKERS)[number % len(SPEAKERS)]
        with wave.open(str(folder / f"{number}.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes((sing(text, *SPEAKERS[speaker], rng) * 32767).astype("<i2").tobytes())
        lines.append([f"{number}.wav", text, speaker, "test" if number % 5 == 4 else "train"])
    write_table(folder / "manifest.csv", lines)


def sing(text: str, pitch: float, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Samples of a text: each vowel is a sum of harmonics of the pitch, which are loud near the vowel's formants."""
    pitch, parts = pitch * rng.uniform(0.95, 1.05), []
    for letter in f" {text} ":
        time = np.arange(int(RATE * rng.uniform(0.08, 0.14))) / RATE
        tone = np.zeros_like(time)
        for harmonic in pitch * np.arange(1, int(RATE / 2 / pitch)):
            near = sum(np.exp(-(((harmonic - scale * peak) / 150) ** 2)) for peak in VOWELS.get(letter, ()))
            tone += (near + 0.01 * (letter != " ")) * np.sin(2 * np.pi * (harmonic * time + rng.random()))
        parts.append(0.1 * tone * np.minimum(1, 20 * np.minimum(time, time[::-1]) / 0.1))
    samples = np.concatenate(parts)
    return np.clip(samples + rng.normal(0, 0.003, len(samples)), -1, 1)


def write_table(path: Path, lines: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    print(f"{path}: {len(lines) - 1} rows")


def main():
    parser = argparse.ArgumentParser(description="Write a small folder of images or of recordings with their texts.")
    parser.add_argument("kind", choices=["images", "recordings"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=250)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    make = make_images if options.kind == "images" else make_recordings
    make(options.folder, options.rows, np.random.default_rng(0))


if __name__ == "__main__":
    main()
