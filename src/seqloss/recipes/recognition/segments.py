"""Texts with their times, and the files that hold them: TextGrid, CTM, SRT and JSON.

Times are in seconds, rounded to milliseconds, so that every format gives back the same numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from seqloss.errors import DataError


@dataclass(frozen=True)
class Segment:
    """A piece of text and when it is said.

    Attributes:
        start: in seconds.
        end: in seconds.
        text: a character, a phone or a word.
        confidence: 0 to 1; None where a format has none.
    """

    start: float
    end: float
    text: str
    confidence: float | None = None


@dataclass(frozen=True)
class Alignment:
    """The segments of one recording.

    Attributes:
        name: of the recording.
        seconds: its length.
        tiers: segments by kind, such as "words" and "characters", each in order and without overlap.
    """

    name: str
    seconds: float
    tiers: Mapping[str, Sequence[Segment]]


def round_time(seconds: float) -> float:
    """In milliseconds."""
    return round(seconds, 3)


# --- TextGrid


def to_textgrid(alignment: Alignment) -> str:
    """Praat's long format, with an interval without text wherever nothing is said.

    Source: https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html
    """
    end = _number(alignment.seconds)
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {end}",
        "tiers? <exists>",
    ]
    lines += [f"size = {len(alignment.tiers)}", "item []:"]
    for number, (name, segments) in enumerate(alignment.tiers.items(), 1):
        intervals = _fill_gaps(segments, alignment.seconds)
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quote(name)}"]
        lines += ["        xmin = 0", f"        xmax = {end}", f"        intervals: size = {len(intervals)}"]
        for k, segment in enumerate(intervals, 1):
            lines += [f"        intervals [{k}]:", f"            xmin = {_number(segment.start)}"]
            lines += [f"            xmax = {_number(segment.end)}", f"            text = {_quote(segment.text)}"]
    return "\n".join(lines) + "\n"


def _fill_gaps(segments: Sequence[Segment], seconds: float) -> list[Segment]:
    filled: list[Segment] = []
    last = 0.0
    for segment in segments:
        if segment.start > last:
            filled.append(Segment(last, segment.start, ""))
        filled.append(segment)
        last = segment.end
    if last < seconds or not filled:
        filled.append(Segment(last, seconds, ""))
    return filled


def _number(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def from_textgrid(text: str, name: str = "") -> Alignment:
    """The alignment of `to_textgrid`; intervals without text are gaps."""
    tiers: dict[str, list[Segment]] = {}
    parts = re.split(r"item \[\d+\]:", text)
    for part in parts[1:]:
        tier = _unquote(_find(r"name = (\"(?:[^\"]|\"\")*\")", part))
        found = re.findall(r"xmin = (\S+)\s+xmax = (\S+)\s+text = (\"(?:[^\"]|\"\")*\")", part)
        tiers[tier] = [Segment(float(start), float(end), _unquote(said)) for start, end, said in found if said != '""']
    return Alignment(name, float(_find(r"xmax = (\S+)", parts[0])), tiers)


def _find(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if not match:
        raise DataError(f"not a TextGrid: found no {pattern.partition(' ')[0]}; write one in Praat's long text format.")
    return match[1]


def _unquote(text: str) -> str:
    return text[1:-1].replace('""', '"')


# --- CTM


def to_ctm(alignment: Alignment) -> str:
    """NIST's CTM: name, channel, start, duration, text, confidence; of the tier "words", else of the first one.

    Source: https://github.com/usnistgov/SCTK
    """
    lines = []
    for segment in _main_tier(alignment):
        confidence = "" if segment.confidence is None else f" {segment.confidence:.6g}"
        duration = segment.end - segment.start
        lines.append(
            f"{_one_word(alignment.name)} 1 {segment.start:.3f} {duration:.3f} {_one_word(segment.text)}{confidence}"
        )
    return "".join(line + "\n" for line in lines)


def from_ctm(text: str) -> Alignment:
    """The alignment of `to_ctm`, with one tier; its length is the end of the last segment."""
    segments, name = [], ""
    for line in text.splitlines():
        if not line.strip() or line.startswith(";;"):
            continue
        name, _, start, duration, said, *confidence = line.split()
        end = round_time(float(start) + float(duration))
        segments.append(Segment(float(start), end, said, float(confidence[0]) if confidence else None))
    return Alignment(name, max((segment.end for segment in segments), default=0.0), {"words": segments})


def _main_tier(alignment: Alignment) -> Sequence[Segment]:
    return alignment.tiers.get("words") or next(iter(alignment.tiers.values()), ())


def _one_word(text: str) -> str:
    """CTM separates its columns by spaces."""
    return re.sub(r"\s", "_", text) or "_"


# --- SRT


def to_srt(alignment: Alignment) -> str:
    """SubRip subtitles: of the tier "words", else of the first one."""
    blocks = [
        f"{number}\n{_clock(segment.start)} --> {_clock(segment.end)}\n{segment.text}\n"
        for number, segment in enumerate(_main_tier(alignment), 1)
    ]
    return "\n".join(blocks)


def _clock(seconds: float) -> str:
    """Hours, minutes, seconds and milliseconds."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02},{rest % 1000:03}"


def from_srt(text: str) -> Alignment:
    """The alignment of `to_srt`, with one tier; its length is the end of the last segment."""
    clock = r"(\d+):(\d\d):(\d\d),(\d\d\d)"
    segments = []
    for block in re.split(r"\n\n+", text.strip()):
        match = re.match(rf"\d+\n{clock} --> {clock}\n(.*)", block, re.DOTALL)
        if match:
            times = [int(digits) for digits in match.groups()[:8]]
            start, end = (h * 3600 + m * 60 + s + ms / 1000 for h, m, s, ms in (times[:4], times[4:]))
            segments.append(Segment(round_time(start), round_time(end), match[9]))
    return Alignment("", max((segment.end for segment in segments), default=0.0), {"words": segments})


# --- JSON


def to_json(alignment: Alignment, *, ascii_only: bool = False) -> str:
    """All tiers, with confidences; other than ASCII characters may be escaped."""
    tiers = {name: [asdict(segment) for segment in segments] for name, segments in alignment.tiers.items()}
    content = {"name": alignment.name, "seconds": alignment.seconds, "tiers": tiers}
    return json.dumps(content, ensure_ascii=ascii_only, indent=1) + "\n"


def from_json(text: str) -> Alignment:
    """The alignment of `to_json`."""
    content: dict[str, Any] = json.loads(text)
    tiers = {name: [Segment(**segment) for segment in segments] for name, segments in content["tiers"].items()}
    return Alignment(content["name"], content["seconds"], tiers)


WRITERS: dict[str, Callable[[Alignment], str]] = {
    "textgrid": to_textgrid,
    "ctm": to_ctm,
    "srt": to_srt,
    "json": to_json,
}
"""By the name of the format, which is also the suffix."""
