"""Data folders of sounds in the shape that people have them, one for each layout.

python -m tests.data.layouts.sound_trees FOLDER builds all of them, to try commands on.
"""

from __future__ import annotations

import json
import sys
import wave
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from .trees import TEXTS, write

RATE = 16000


def record(path: Path, text: str) -> None:
    """A tone for each letter, half a tenth of a second long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(RATE // 10) / RATE
    tones = [np.sin(2 * np.pi * (200 + 60 * (ord(letter) % 32)) * time) for letter in text]
    write_wav(path, 8000 * np.concatenate(tones), RATE)


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write samples from -32768 to 32767 as a sound of one channel."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", "not compressed"))
        file.writeframes(samples.astype("<i2").tobytes())


def record_all(folder: Path, names: Iterable[str]) -> None:
    for name, text in zip(names, TEXTS, strict=True):
        record(folder / name, text)


def audiofolder(folder: Path) -> None:
    """Hugging Face: metadata.csv in the folder of each split."""
    record_all(folder, ("train/1.wav", "train/2.wav", "test/1.wav"))
    write(folder / "train/metadata.csv", "file_name,transcription\n1.wav,apple\n2.wav,pear\n")
    write(folder / "test/metadata.csv", "file_name,transcription\n1.wav,fig\n")


def librispeech(folder: Path) -> None:
    names = ("train-clean-100/103/1240/103-1240-0000.wav", "train-clean-100/103/1240/103-1240-0001.wav")
    record_all(folder, (*names, "test-clean/61/70968/61-70968-0000.wav"))
    write(folder / "train-clean-100/103/1240/103-1240.trans.txt", "103-1240-0000 apple\n103-1240-0001 pear\n")
    write(folder / "test-clean/61/70968/61-70968.trans.txt", "61-70968-0000 fig\n")
    write(folder / "SPEAKERS.TXT", ";ID  |SEX| SUBSET\n")


PHONES = {"apple": "ae pcl p el", "pear": "pcl p eh r", "fig": "f ih gcl g"}


def timit(folder: Path) -> None:
    """Upper-case names; of each speaker the sentence SA1, which all speakers read."""
    places = ("TRAIN/DR1/FCJF0/SI1027", "TRAIN/DR1/FCJF0/SX37", "TEST/DR1/FAKS0/SI943")
    for place, text in zip(places, TEXTS, strict=True):
        _write_timit(folder / place, text, PHONES[text])
    for place in ("TRAIN/DR1/FCJF0/SA1", "TEST/DR1/FAKS0/SA1"):
        _write_timit(folder / place, "fig", PHONES["fig"])
    write(folder / "README.DOC", "x")


def _write_timit(path: Path, text: str, phones: str) -> None:
    record(path.with_suffix(".WAV"), text)
    samples = RATE // 10 * len(text)
    write(path.with_suffix(".TXT"), f"0 {samples} {text}\n")
    write(path.with_suffix(".WRD"), f"0 {samples} {text}\n")
    symbols = ["h#", *phones.split(), "h#"]
    step = samples // len(symbols)
    lines = (f"{n * step} {(n + 1) * step} {symbol}\n" for n, symbol in enumerate(symbols))
    write(path.with_suffix(".PHN"), "".join(lines))


def common_voice(folder: Path) -> None:
    names = [f"common_voice_en_{n}.wav" for n in range(3)]
    record_all(folder / "clips", names)
    header = "client_id\tpath\tsentence\tup_votes\n"
    write(folder / "train.tsv", f"{header}a\t{names[0]}\tapple\t2\nb\t{names[1]}\tpear\t3\n")
    write(folder / "test.tsv", f"{header}c\t{names[2]}\tfig\t2\n")
    write(folder / "validated.tsv", f"{header}a\t{names[0]}\tapple\t2\n")


def nemo(folder: Path) -> None:
    record_all(folder / "wav", ("1.wav", "2.wav", "3.wav"))
    lines = [
        json.dumps({"audio_filepath": f"wav/{n}.wav", "text": text, "duration": 0.5}) for n, text in enumerate(TEXTS, 1)
    ]
    write(folder / "train_manifest.json", "\n".join(lines[:2]) + "\n")
    write(folder / "test_manifest.json", lines[2] + "\n")


def kaldi(folder: Path) -> None:
    record_all(folder, ("train/a.wav", "train/b.wav", "test/c.wav"))
    write(folder / "train/wav.scp", "spk1-a train/a.wav\nspk1-b train/b.wav\n")
    write(folder / "train/text", "spk1-a apple\nspk1-b pear\n")
    write(folder / "test/wav.scp", "spk2-c test/c.wav\n")
    write(folder / "test/text", "spk2-c fig\n")


def ljspeech(folder: Path) -> None:
    names = [f"LJ001-000{n}" for n in range(1, 4)]
    record_all(folder / "wavs", (f"{name}.wav" for name in names))
    lines = (f"{name}|{text.upper()}|{text}\n" for name, text in zip(names, TEXTS, strict=True))
    write(folder / "metadata.csv", "".join(lines))


SOUND_TREES: Mapping[str, Callable[[Path], None]] = {
    tree.__name__: tree for tree in (audiofolder, librispeech, timit, common_voice, nemo, kaldi, ljspeech)
}

if __name__ == "__main__":
    for name, tree in SOUND_TREES.items():
        tree(Path(sys.argv[1]) / name)
        print(Path(sys.argv[1]) / name)
