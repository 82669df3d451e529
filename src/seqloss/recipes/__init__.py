"""Recipes: each trains a model for one task from one command.

A recipe is a folder with `settings.py`, `data.py`, `network.py` and `task.py`, and an entry in `RECIPES` below. The
command line, `transcribe`, `report` and `export` find it there by its name, which a run stores in settings.json.

* `seqloss.recipes.ocr`: images of text lines to text.
* `seqloss.recipes.speech`: recordings to text or phones.
* `seqloss.recipes.speaker`: recordings to embeddings, close together for each speaker.
* `seqloss.recipes.stems`: words to embeddings, close together for each stem.
* `seqloss.recipes.autoencoder`: windows of a table to their reconstruction, and anomaly scores.
* `seqloss.recipes.charlm`: text to a language model that reads words from their characters.
* `seqloss.recipes.recognition`: no recipe; what recipes that map frames to text with CTC share.
* `seqloss.recipes.embedding`: no recipe; what recipes that learn embeddings share.

This module imports no framework: a recipe is loaded when it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqloss.errors import RunError

if TYPE_CHECKING:
    from seqloss.training.settings import TrainingSettings
    from seqloss.training.task import Task

__all__ = ["load_task"]


@dataclass(frozen=True)
class Recipe:
    """Where a recipe's classes are, as "module:class", and the help of its command.

    Attributes:
        settings: a `TrainingSettings`; its module imports no framework.
        task: a `Task`.
        help: of `seqloss train NAME`.
        example: a command line.
    """

    settings: str
    task: str
    help: str
    example: str

    def settings_class(self) -> type[TrainingSettings]:
        return _load_class(self.settings)

    def task_class(self) -> type[Task]:
        return _load_class(self.task)


RECIPES: dict[str, Recipe] = {
    "ocr": Recipe(
        settings="seqloss.recipes.ocr.settings:Settings",
        task="seqloss.recipes.ocr.task:OcrTask",
        help="Train an OCR model for text lines. The same command again resumes the run.",
        example="seqloss train ocr --data images --out runs/mine; then seqloss transcribe runs/mine new.png",
    ),
    "speech": Recipe(
        settings="seqloss.recipes.speech.settings:Settings",
        task="seqloss.recipes.speech.task:SpeechTask",
        help="Train a speech recogniser. The same command again resumes the run.",
        example="seqloss train speech --data recordings --out runs/mine; then seqloss transcribe runs/mine new.wav",
    ),
    "speaker": Recipe(
        settings="seqloss.recipes.speaker.settings:Settings",
        task="seqloss.recipes.speaker.task:SpeakerTask",
        help="Train embeddings that tell speakers apart. The same command again resumes the run.",
        example="seqloss train speaker --data recordings --out runs/mine; then seqloss transcribe runs/mine new.wav",
    ),
    "stems": Recipe(
        settings="seqloss.recipes.stems.settings:Settings",
        task="seqloss.recipes.stems.task:StemsTask",
        help="Train embeddings of words, close together for each stem. The same command again resumes the run.",
        example="seqloss train stems --data words.txt --out runs/mine",
    ),
    "autoencoder": Recipe(
        settings="seqloss.recipes.autoencoder.settings:Settings",
        task="seqloss.recipes.autoencoder.task:AutoencoderTask",
        help="Train an autoencoder of a table of numbers, to find anomalies. The same command again resumes the run.",
        example="seqloss train autoencoder --data log.csv --out runs/mine; then seqloss transcribe runs/mine new.csv",
    ),
    "charlm": Recipe(
        settings="seqloss.recipes.charlm.settings:Settings",
        task="seqloss.recipes.charlm.task:CharlmTask",
        help="Train a word language model that reads words from their characters. The same command again resumes the "
        "run.",
        example="seqloss train charlm --data texts --out runs/mine; then seqloss transcribe runs/mine new.txt",
    ),
}
"""The recipes by name."""


def _load_class(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def recipe_of(folder: Path, settings: Mapping[str, Any] | None) -> Recipe:
    """The recipe that a run was trained with, by its settings.json.

    Raises:
        RunError: there is no run, or its recipe is unknown.
    """
    if settings is None:
        known = "|".join(RECIPES)
        raise RunError(f"{folder}: contains no run; train one with: seqloss train {known} --out {folder}")
    name = settings.get("recipe")
    if not isinstance(name, str) or name not in RECIPES:
        raise RunError(
            f"{folder}/settings.json: found recipe {name!r}, expected one of {', '.join(RECIPES)}; "
            "use the version of seqloss that trained this run."
        )
    return RECIPES[name]


def load_task(folder: Path) -> Task:
    """Load the task of a run, with its settings and with what the run keeps, such as its vocabulary.

    Args:
        folder: of the run.

    Returns:
        A `seqloss.training.task.Task`, for `Predictor`, `write_report` or `train`.

    Raises:
        RunError: there is no run, or its recipe is unknown.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from seqloss.recipes import load_task
        >>> from seqloss.recipes.autoencoder.settings import Settings
        >>> from seqloss.recipes.autoencoder.task import AutoencoderTask
        >>> from seqloss.training.engine import train
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table, run = Path(folder) / "log.csv", Path(folder) / "run"
        ...     _ = table.write_text("a,b\\n" + "".join(f"{n % 7},{n % 5}\\n" for n in range(900)))
        ...     found = train(AutoencoderTask(Settings(data=str(table), epochs=1)), run, print_line=lambda line: None)
        ...     task = load_task(run)
        >>> task.name, task.settings.epochs
        ('autoencoder', 1)
    """
    from seqloss.training.run import Run

    run = Run(folder)
    settings = run.read_json("settings")
    recipe = recipe_of(folder, settings)
    task = recipe.task_class()(recipe.settings_class().from_saved(settings or {}))
    task.restore(run)
    return task
