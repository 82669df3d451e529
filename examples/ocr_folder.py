"""Read images of text: from a folder with a labels.csv to transcripts and the character error rate, in Python.

    pip install "seqloss[train]"
    python examples/make_folders.py images numbers
    python examples/ocr_folder.py --data numbers --out runs/numbers

It does what `seqloss train ocr` and `seqloss transcribe` do. Any layout of a data folder is read; rows with the split
"test" are not trained. The last line is the character error rate on them.
"""

import argparse
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from seqloss.data import read_rows, split_rows
from seqloss.recipes import load_task
from seqloss.recipes.ocr.settings import Settings
from seqloss.recipes.ocr.task import OcrTask
from seqloss.training.engine import train
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run
from seqloss.training.settings import RunOptions


def main():
    parser = argparse.ArgumentParser(description="Read images of text: from a folder with a labels.csv to transcripts.")
    parser.add_argument("--data", type=Path, required=True, help="folder of images and their texts")
    parser.add_argument("--out", type=Path, default=Path("runs/ocr"), help="folder of the run")
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    splits, _ = split_rows(read_rows(options.data).rows)
    if not splits.test:
        raise SystemExit(f"{options.data}: no test rows; give some rows the split 'test', for the error rate")

    settings = Settings(data=str(options.data), epochs=options.epochs, batch=8, lr=4e-3)
    train(OcrTask(settings), options.out, RunOptions(workers=0))  # the same call again resumes the run

    predictor = Predictor(load_task(options.out), Run(options.out))
    texts = [row.text for row in splits.test]
    found = [predictor.predict(row.path) for row in splits.test]
    for text, one in zip(texts[:3], found, strict=False):
        print(f"{text} -> {one.text}, score {one.score:.2f}")
    errors = sum(Levenshtein.distance(text, one.text) for text, one in zip(texts, found, strict=True))
    print(f"character error rate: {errors / len(''.join(texts)):.1%} ({len(texts)} test images)")


if __name__ == "__main__":
    main()
