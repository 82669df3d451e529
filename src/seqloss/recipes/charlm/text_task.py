"""What the report needs of the language model's task."""

from __future__ import annotations

from abc import abstractmethod

from seqloss.data import Vocabulary
from seqloss.recipes.charlm.settings import Settings
from seqloss.training.task import Task


class TextTask(Task):
    """A task on paragraphs of words.

    Attributes:
        settings: of the run.
        numbers: word -> its class.
        paragraphs: split -> its paragraphs; empty before the data are loaded.
    """

    settings: Settings
    numbers: dict[str, int]
    paragraphs: dict[str, list[list[str]]]

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """The words that are predicted."""
