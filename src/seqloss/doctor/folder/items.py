"""Rows that a training could not use: files that cannot be read, texts that do not fit, nothing in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from seqloss.data.checks import Item, check_rows
from seqloss.data.paths import IMAGES
from seqloss.data.rows import Row
from seqloss.data.sound_checks import Recording, check_recordings, describe_fast_texts, refuse_other_widths
from seqloss.data.sounds import SoundCache, default_cache_folder
from seqloss.data.texts import normalize_text
from seqloss.data.vocabulary import Vocabulary, frames_needed
from seqloss.doctor.findings import Finding
from seqloss.doctor.folder.contents import SHOWN, Contents, FolderOptions, Progress
from seqloss.doctor.sanity_checks import describe_feasibility
from seqloss.errors import BadRow

FASTEST = 25.0
"""Characters per second, in the median. Read speech has 15 of English; read at twice its rate, 30."""

SILENT, UNSCALED = (": silent", ": one colour"), ": unscaled"
"""What the reasons of images, sounds and features say."""


def check_items(contents: Contents, options: FolderOptions, progress: Progress | None) -> Iterator[Finding]:
    """What is wrong with the rows of a folder, each on its own; and with its recordings together.

    Args:
        contents: of the folder.
        options: what a training would make of them.
        progress: called while files are read.
    """
    check = _check_images if contents.kind is IMAGES else _check_sounds
    items, bad = check(contents, options, progress)
    yield from _describe(bad, items, options, contents)
    if contents.kind is not IMAGES:
        yield from _check_sounds_together(items, contents, options)


def _check_images(
    contents: Contents, options: FolderOptions, progress: Progress | None
) -> tuple[list[Item | Recording], list[BadRow]]:
    items, bad = check_rows(
        contents.rows, contents.bad, vocabulary=None, frames=lambda width: -(-width // options.subsampling),
        height=options.height, rotate=options.rotate,
        to_target=lambda text: contents.order.to_visual(normalize_text(text, options.normalize)), progress=progress,
    )  # fmt: skip
    return list(items), bad


def _check_sounds(
    contents: Contents, options: FolderOptions, progress: Progress | None
) -> tuple[list[Item | Recording], list[BadRow]]:
    from seqloss.torch.nn import LogMel

    items, bad = check_recordings(
        contents.rows, contents.bad, symbols=Vocabulary((), unit=options.units), known=False,
        cache=SoundCache(options.rate, default_cache_folder()), subsampling=options.subsampling,
        frames_of_samples=LogMel(options.rate).frames_of_samples, progress=progress,
    )  # fmt: skip
    items, bad = refuse_other_widths(items, bad)
    return list(items), bad


def _describe(
    bad: Sequence[BadRow], items: Sequence[Item | Recording], options: FolderOptions, contents: Contents
) -> Iterator[Finding]:
    count = len(bad) + len(items)
    short = [row for row in bad if row.short]
    silent = [row for row in bad if any(word in row.reason for word in SILENT) and row not in short]
    unscaled = [row for row in bad if UNSCALED in row.reason and row not in short]
    others = [row for row in bad if row not in [*short, *silent, *unscaled]]
    if short:
        steps = "pixels" if contents.kind is IMAGES else "feature frames"
        sizes = [*(_size(item, options.units) for item in items), *(row.short for row in short if row.short)]
        yield Finding(
            "texts-too-long", "error",
            {**_evidence(short, count), "would fit": describe_feasibility(sizes, options.subsampling, steps)},
            "texts need more frames than their inputs give: CTC has no path for them",
            f"Train with a {'larger --height' if contents.kind is IMAGES else 'smaller --subsampling'}, or give these "
            "rows their own texts",
        )  # fmt: skip
    if silent:
        yield Finding(
            "inputs-silent", "error", _evidence(silent, count),
            "there is nothing in these files: all of a picture is one colour, or a sound is silent",
            "Remove these rows: their texts cannot be learnt from them",
        )  # fmt: skip
    if unscaled:
        yield Finding(
            "inputs-not-scaled", "error", _evidence(unscaled, count),
            "sounds hold whole numbers as floats, far beyond -1 to 1", "Divide them by 32768, or write 16-bit PCM",
        )  # fmt: skip
    if others:
        yield Finding(
            "rows-unusable", "error", _evidence(others, count), "rows cannot be read",
            "Mend or remove them; `seqloss train --skip-bad` leaves them out",
        )  # fmt: skip


def _size(item: Item | Recording, units: str) -> tuple[int, int]:
    """Input steps, and the frames that the text needs."""
    if isinstance(item, Item):
        return item.width, frames_needed(item.target)
    return item.frames, frames_needed(Vocabulary((), unit=units).split(item.row.text))


def _evidence(bad: Sequence[BadRow], count: int) -> dict[str, object]:
    return {"rows": len(bad), "of": count, "such as": [row.reason for row in bad[:SHOWN]]}


def _check_sounds_together(
    items: Sequence[Item | Recording], contents: Contents, options: FolderOptions
) -> Iterator[Finding]:
    recordings = [item for item in items if isinstance(item, Recording)]
    fast = list(describe_fast_texts(recordings, Vocabulary((), unit=options.units)))
    if fast:
        yield Finding(
            "texts-too-fast", "warning",
            {"rows": len(fast), "of": len(recordings),
             "such as": [line.removeprefix("WARNING: ") for line in fast[:SHOWN]]},
            "these texts are said far faster than the others", "Look whether rate and text are those of the recording",
        )  # fmt: skip
    speed = _usual_speed(recordings, options.units)
    if speed > FASTEST:
        yield Finding(
            "speech-too-fast", "warning", {"characters per second, in the median": speed, "people say": "10 to 20"},
            "recordings are far faster than people speak: their header names a higher rate than they have",
            "Listen to one; write the files again with the rate that they were recorded at",
        )  # fmt: skip
    rates = [_rates(recordings, rows) for rows in (contents.splits.train, contents.held_out)]
    if all(rates) and rates[0].isdisjoint(rates[1]):
        yield Finding(
            "rates-differ", "warning", {"training": sorted(rates[0]), "held out": sorted(rates[1])},
            "held-out recordings have other sampling rates than those of the training: they lack or have high "
            "frequencies, and results do not carry over",
            "Convert all recordings to the lower rate, or train on some of each",
        )  # fmt: skip


def _usual_speed(recordings: Sequence[Recording], units: str) -> float:
    """The median of the characters per second; 0 for other units, and without sounds."""
    found = [len(item.row.text) / max(item.seconds, 1e-3) for item in recordings if item.sound]
    return median(found) if found and units == "characters" else 0.0


def _rates(recordings: Sequence[Recording], rows: Sequence[Row]) -> set[int]:
    paths = {row.path for row in rows}
    return {item.sound.rate for item in recordings if item.sound and item.row.path in paths}
