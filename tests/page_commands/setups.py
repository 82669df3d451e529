"""What the commands of each section find in their folder: small data and runs under the names that the page uses."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from seqloss.data import Vocabulary

from ..cli import folders
from ..data.layouts import sound_trees, trees
from ..ocr_fixtures import write_data
from ..pages import blocks_of
from ..recipes.autoencoder.conftest import write_table
from ..recipes.charlm.conftest import write_text
from ..recipes.speaker.conftest import write_voices
from ..recipes.stems.conftest import write_words
from .session import SHORT, Options

Make = Callable[[Path], object]
SAID = "what is said in it"


@dataclass(frozen=True)
class Setup:
    """Of a section: what is made before its commands run, and what makes them short.

    Attributes:
        files: name in the folder -> what writes it there.
        runs: name of a run -> "ocr" or "speech", whose small trained run is copied there.
        short: name of a recipe or script -> options instead of the usual short ones.
        before: commands that the page only mentions.
        examine: whether trainings are examined first, because the page shows what that prints.
    """

    files: Mapping[str, Make] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)
    short: Options = field(default_factory=dict)
    before: tuple[str, ...] = ()
    examine: bool = False


def image(path: Path) -> None:
    trees.draw(path, "ab1")


def module(path: Path) -> None:
    """The function with a mistake of the page about the verifier."""
    (block,) = (block for block in blocks_of("docs/guides/verify.md") if "def ctc(" in block.code)
    path.write_text(block.code, encoding="utf-8")


def sound(path: Path) -> None:
    sound_trees.record(path, SAID)


def text(path: Path) -> None:
    path.write_text(SAID, encoding="utf-8")


def recordings(folder: Path) -> None:
    """Ten recordings, with a tone for each letter of what the pages say; eight to train with, one to validate."""
    lines = ["path,text,split"]
    for number, words in enumerate([SAID, "open the door", "good night", "seven", "the door"] * 2):
        sound_trees.record(folder / f"{number}.wav", words)
        lines.append(f"{number}.wav,{words},{'train' if number < 8 else 'validation' if number < 9 else 'test'}")
    trees.write(folder / "manifest.csv", "\n".join(lines) + "\n")


def pictures(folder: Path) -> None:
    """Sixty images of words and labels.csv, without splits."""
    words = ["".join(letters) for letters in itertools.islice(itertools.permutations("aeinorst", 3), 0, 300, 5)]
    for number, word in enumerate(words):
        trees.draw(folder / f"{number}.png", word)
    trees.write(
        folder / "labels.csv",
        "filename,words\n" + "".join(f"{number}.png,{word}\n" for number, word in enumerate(words)),
    )


def digits(folder: Path) -> None:
    """Two hundred short recordings at 8000 Hz of one of two pitches, named by their texts."""
    folder.mkdir()
    time = np.arange(2400) / 8000
    lines = ["path,text,split"]
    for number in range(200):
        word, pitch = (("one", 300), ("six", 1200))[number % 2]
        sound_trees.write_wav(folder / f"{number}.wav", 8000 * np.sin(2 * np.pi * (pitch + number) * time), 8000)
        lines.append(f"{number}.wav,{word},{'train' if number < 160 else 'validation' if number < 180 else 'test'}")
    trees.write(folder / "manifest.csv", "\n".join(lines) + "\n")


def table(path: Path) -> None:
    write_table(path, rows=3000)


def phones(folder: Path) -> None:
    """Recordings with their phones in a manifest."""
    said = {"she": "sh iy", "had": "hv ae dcl d", "she had": "sh iy hv ae dcl d"}
    lines = ["path,text,phones,split"]
    for number, (words, sounds) in enumerate(said.items()):
        sound_trees.record(folder / f"wav/{number}.wav", words)
        lines.append(f"wav/{number}.wav,{words},{sounds},{'test' if number == 2 else 'train'}")
    trees.write(folder / "manifest.csv", "\n".join(lines) + "\n")


def tree(name: str) -> Setup:
    """A folder in one of the layouts."""
    return Setup({"FOLDER": {**trees.TREES, **sound_trees.SOUND_TREES}[name]})


def words_with_spaces(folder: Path) -> None:
    """What the page shows of texts and images as they come: spaces around texts, a no-break space, Hebrew."""
    write_data(folder)
    lines = ["path,text,split"]
    for number, written in enumerate(["  \u05d0\u05d1 ", "\u05d1\u00a0\u05d0", *["\u05d0\u05d1\u05d2"] * 7, "b1"]):
        lines.append(f"{number}.png,{written},{'train' if number < 8 else 'validation'}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def pages_with_faults(folder: Path) -> None:
    """The faults that the page about the doctor shows: a text too long, a copy with another text, an unknown letter."""
    folders.images(folder, ["10.png,abbacad,test"])
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace(",bad,", ",bag,"), encoding="utf-8")
    shutil.copyfile(folder / "3.png", folder / "9.png")
    folders.draw(folder / "10.png", "abbacad", width=14)


def vocabulary(path: Path) -> None:
    path.parent.mkdir(parents=True)
    Vocabulary("abcd").save(path)


def george(folder: Path) -> None:
    """The voices of the tests, one of them with the name that the page leaves out."""
    write_voices(folder)
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace(",ann,", ",george,"), encoding="utf-8")


OCR = Setup({"FOLDER": write_data, "IMAGE.png": image, "22d5n.png": image, "new.png": image})
SPEECH = Setup({"FOLDER": recordings, "RECORDING": sound, "new.wav": sound})
SPEECH_RUN = {"RUN": "speech"}

SETUPS: Mapping[tuple[str, str], Setup | tuple[Setup, ...]] = {
    ("README.md", "Verify a CTC implementation"): Setup({"mine.py": module}),
    ("README.md", "Train an OCR model"): Setup(
        OCR.files, before=("seqloss train ocr",), examine=True,
        short={"ocr": ["--epochs", "2", "--synthetic", "64"]},
    ),
    ("README.md", "Train a speech recogniser"): SPEECH,
    ("docs/about/support.md", "Ask, and report a fault"): Setup({"FOLDER": write_data}),
    ("docs/guides/autoencoder.md", "Autoencoder: anomalies in tables of numbers"): Setup(
        {"TABLE.csv": table, "NEW.csv": table}, short={"autoencoder": ["--epochs", "1", "--size", "8"]}
    ),
    ("docs/guides/command-line.md", "The command line"): Setup(),
    ("docs/guides/command-line.md", "Train a model"): Setup({"pages": write_data, "recordings": recordings}),
    ("docs/guides/command-line.md", "Use a trained model"): Setup(
        {"new.png": image, "monday.wav": sound, "tuesday.wav": sound, "talk.wav": sound, "talk.txt": text},
        {"runs/pages": "ocr", "runs/talks": "speech"},
    ),
    ("docs/guides/command-line.md", "Check data and losses"): Setup(
        {"pages": write_data, "recordings": recordings, "mine.py": module},
        {"runs/pages": "ocr"}, before=("seqloss export runs/pages logits.npz --items 4",),
    ),
    ("docs/guides/command-line.md", "Completion"): Setup(),
    ("docs/guides/data.md", "manifest"): (tree("manifest_csv"), Setup({"FOLDER": phones})),
    ("docs/guides/data.md", "labels"): tree("easyocr"),
    ("docs/guides/data.md", "metadata"): (tree("imagefolder_csv"), tree("audiofolder")),
    ("docs/guides/data.md", "pairs"): tree("tesstrain"),
    ("docs/guides/data.md", "mjsynth"): tree("mjsynth"),
    ("docs/guides/data.md", "iam"): tree("iam"),
    ("docs/guides/data.md", "librispeech"): tree("librispeech"),
    ("docs/guides/data.md", "timit"): tree("timit"),
    ("docs/guides/data.md", "common-voice"): tree("common_voice"),
    ("docs/guides/data.md", "nemo"): tree("nemo"),
    ("docs/guides/data.md", "kaldi"): tree("kaldi"),
    ("docs/guides/data.md", "ljspeech"): tree("ljspeech"),
    ("docs/guides/data.md", "label-number"): tree("label_number"),
    ("docs/guides/data.md", "file-names"): tree("file_names"),
    ("docs/guides/doctor.md", "Data without a model"): Setup(
        {"pages": pages_with_faults, "runs/mine/vocabulary.json": vocabulary}
    ),
    ("docs/guides/embeddings.md", "Speakers"): (Setup({"FOLDER": george}), Setup({"fsdd": george})),
    ("docs/guides/embeddings.md", "Stems"): Setup(
        {"words.txt": write_words}, short={"stems": [*SHORT["stems"], "--data", "words.txt"]}
    ),
    ("docs/guides/language-model.md", "Language models"): Setup({"TEXT": write_text}),
    ("docs/guides/language-model.md", "Figures"): Setup(
        {"TEXT": write_text}, short={"charlm": [*SHORT["charlm"], "--data", "TEXT"]}
    ),
    ("docs/guides/ocr.md", "First example"): Setup(
        {"FOLDER": pictures, "new.png": image}, short={"ocr": ["--epochs", "2"]}
    ),
    ("docs/guides/ocr.md", "Texts and images as they come"): Setup(
        {"FOLDER": words_with_spaces}, before=("seqloss train ocr --data FOLDER",)
    ),
    ("docs/guides/ocr.md", "Captchas"): Setup({"captcha": write_data}),
    ("docs/guides/ocr.md", "Fraktur"): Setup({"ocr_lines": write_data}),
    ("docs/guides/speech.md", "First example"): (
        Setup(), SPEECH, Setup({"new.wav": sound}, SPEECH_RUN),
        Setup({"fsdd": digits}, short={"speech": ["--epochs", "2", "--size", "16", "--layers", "1"]}),
    ),
    ("docs/guides/speech.md", "A few recordings"): Setup({"FOLDER": recordings}),
    ("docs/guides/speech.md", "Transcribe"): Setup({"a.wav": sound, "b.flac": sound}, SPEECH_RUN),
    ("docs/guides/speech.md", "Align"): Setup(
        {"talk.wav": sound, "talk.txt": text, "seven.wav": sound}, SPEECH_RUN
    ),
    ("docs/guides/speech.md", "Measured"): Setup(
        {"fsdd": recordings, "an4": recordings, "timit_sample": sound_trees.timit}
    ),
    ("docs/guides/training-runs.md", "Sanity checks"): Setup(),
    ("docs/guides/training-runs.md", "Examination before the first step"): Setup({"FOLDER": write_data}, examine=True),
    ("docs/guides/training-runs.md", "Overfit test"): Setup(short={"ocr": ["--height", "16"]}),
    ("docs/guides/verify.md", "The output"): Setup({"mine.py": module}),
    ("docs/guides/verify.md", "On the outputs of your model"): Setup(
        {}, {"RUN": "ocr"}, before=("seqloss export RUN out.npz --items 4",)
    ),
    ("docs/guides/verify.md", "Verify a CTC implementation"): Setup({"mine.py": module}),
    ("docs/start/quick-start.md", "Without code"): OCR,
}  # fmt: skip
"""(page, heading) -> the setup of its commands; several setups are one for each block of commands."""
