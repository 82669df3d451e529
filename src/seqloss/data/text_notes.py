"""Clean the texts of all rows, and note what was found in them, in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from seqloss.data.invisible import name_character
from seqloss.data.rows import Row
from seqloss.data.texts import CleanText, clean_text
from seqloss.errors import BadRow, DataError


@dataclass
class TextNotes:
    """What was found in the texts of a data set.

    Attributes:
        normalization: the normal form that they are trained in.
        stripped: texts with spaces around them.
        suspects: character -> number of texts that have it.
        forms: normal form -> number of texts that came in it; texts that are in every form are not counted.
        examples: character, form or "stripped" -> the first row that has it.
    """

    normalization: str = "NFC"
    stripped: int = 0
    suspects: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Row] = field(default_factory=dict)

    def add(self, row: Row, clean: CleanText) -> None:
        """Count what was found in a row's text."""
        self.stripped += clean.stripped
        self.suspects.update(clean.suspects)
        self.forms.update([clean.form] if clean.form else [])
        for found in [*clean.suspects, clean.form, "stripped" if clean.stripped else ""]:
            self.examples.setdefault(found, row)

    def lines(self) -> Iterator[str]:
        """Lines to print before the training; none if nothing was found."""
        if self.stripped:
            yield f"texts: {self.stripped} had spaces around them, stripped ({self._example('stripped')})"
        for character, count in sorted(self.suspects.items()):
            yield f"texts: {name_character(character)} in {count} ({self._example(character)})"
        if len(self.forms) > 1 or self.forms["neither"]:
            counts = ", ".join(
                f"{count} in {form} ({self._example(form)})" for form, count in sorted(self.forms.items())
            )
            yield f"texts: their Unicode normal forms differ: {counts}; {self._consequence()}"

    def _example(self, found: str) -> str:
        row = self.examples[found]
        return f"such as {row.name}" if row.row is None else f"such as {row.name}, line {row.row}"

    def _consequence(self) -> str:
        if self.normalization == "none":
            return "left so, and letters that look the same are different classes; --normalize NFC makes them the same"
        return f"all are trained in {self.normalization}"


def clean_rows(rows: Sequence[Row], normalization: str = "NFC") -> tuple[list[Row], list[BadRow], TextNotes]:
    """Clean the texts of rows.

    Args:
        rows: as read.
        normalization: "NFC", "NFKC" or "none".

    Returns:
        the rows with clean texts, the rows whose texts no picture of one line can show, and notes on all of them.

    Example:
        >>> from pathlib import Path
        >>> rows = [Row("m.csv", 2, Path("a.png"), " apple", None, "a.png")]
        >>> rows, bad, notes = clean_rows(rows)
        >>> rows[0].text, bad, list(notes.lines())
        ('apple', [], ['texts: 1 had spaces around them, stripped (such as a.png, line 2)'])
    """
    kept: list[Row] = []
    bad: list[BadRow] = []
    notes = TextNotes(normalization)
    for row in rows:
        try:
            clean = clean_text(row.text, normalization)
        except DataError as problem:
            bad.append(BadRow(row.file, row.row, f"{row.name}: {problem}"))
            continue
        notes.add(row, clean)
        kept.append(replace(row, text=clean.text))
    return kept, bad, notes
