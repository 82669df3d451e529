"""Recognise speech: from a folder of recordings with a manifest to transcripts and the word error rate, in Python.

    pip install "seqloss[speech]"
    python examples/make_folders.py recordings voices
    python examples/speech_folder.py --data voices --out runs/voices

It does what `seqloss train speech` and `seqloss transcribe` do. Any layout of a data folder is read; rows with the
split "test" are not trained. The last line is the word error rate on them.
"""

import argparse
from pathlib import Path

import jiwer

from seqloss.data import read_rows, split_rows
from seqloss.data.paths import SOUNDS
from seqloss.recipes import load_task
from seqloss.recipes.speech.settings import Settings
from seqloss.recipes.speech.task import SpeechTask
from seqloss.training.engine import train
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run
from seqloss.training.settings import RunOptions


def main():
    parser = argparse.ArgumentParser(description="Recognise speech: from a folder of recordings to transcripts.")
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings and their texts")
    parser.add_argument("--out", type=Path, default=Path("runs/speech"), help="folder of the run")
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    splits, _ = split_rows(read_rows(options.data, kind=SOUNDS).rows)
    if not splits.test:
        raise SystemExit(f"{options.data}: no test rows; give some rows the split 'test', for the error rate")

    # for short recordings of few words; docs/guides/speech.md has settings for larger data
    small = {"rate": 8000, "subsampling": 2, "size": 64, "layers": 1, "dropout": 0.1, "speed": False, "batch": 8}
    settings = Settings(data=str(options.data), epochs=options.epochs, lr=5e-3, spec_augment=False, **small)
    train(SpeechTask(settings), options.out, RunOptions(workers=0))  # the same call again resumes the run

    predictor = Predictor(load_task(options.out), Run(options.out))
    texts = [row.text for row in splits.test]
    found = [predictor.predict(row.path) for row in splits.test]
    for text, one in zip(texts[:3], found, strict=False):
        print(f"{text} -> {one.text}, score {one.score:.2f}")
    print(*(f"{word['text']} from {word['start']} to {word['end']} s" for word in found[0].words), sep=", ")
    rate = jiwer.wer(texts, [transcript.text for transcript in found])
    print(f"word error rate: {rate:.1%} ({len(texts)} test recordings)")


if __name__ == "__main__":
    main()
