"""Read a file of texts into lines of cells: CSV in its dialects, TSV, plain lines of a name and a text, JSON Lines."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seqloss.errors import DataError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

OTHER_FILES = {
    b"PK\x03\x04": ("a workbook or an archive (ZIP)", "export its sheet as CSV, or unpack it"),
    b"\xd0\xcf\x11\xe0": ("a workbook or document of an old Office", "export its sheet as CSV"),
    b"\x1f\x8b": ("a gzip file", "unpack it"),
    b"PAR1": ("a Parquet file", "export it as CSV"),
}
"""How files begin that are often given for a text, what they are, and what to do."""


@dataclass(frozen=True)
class Line:
    """One entry of a file of texts.

    Attributes:
        number: of the line where it begins, from 1.
        cells: in order; of JSON Lines the values.
        keys: of JSON Lines, else empty.
        problem: why it could not be parsed, or "".
    """

    number: int
    cells: Sequence[object] = ()
    keys: Sequence[str] = field(default=())
    problem: str = ""


def read_text(path: Path) -> str:
    """The content of a file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        advice = {FileNotFoundError: "check its name", IsADirectoryError: "give a file in it"}
        known = advice.get(type(error), "check its permissions")
        raise DataError(f"{path}: cannot be read ({error.strerror}); {known}.") from error
    return decode_text(content, path)


def decode_text(content: bytes, path: Path) -> str:
    """The same, from the bytes of the file."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        for start, (kind, advice) in OTHER_FILES.items():
            if content.startswith(start):
                raise DataError(f"{path}: {kind}, expected text in UTF-8; {advice}.") from error
        before, byte = error.object[: error.start], error.object[error.start]
        where = f"byte 0x{byte:02X} in line {before.count(10) + 1}"
        raise DataError(f"{path}: not UTF-8 ({where}); save it again as UTF-8.") from error


def read_csv(text: str, separator: str) -> Iterator[Line]:
    """The entries of a CSV text that are not empty lines. A cell may have spaces before its quotation mark.

    An unclosed quotation mark would include all following lines. So after an invalid entry, parsing continues with the
    line after its first one.
    """
    lines = list(io.StringIO(text, newline=""))
    start = line = 0
    while start < len(lines):
        reader = csv.reader(lines[start:], strict=True, delimiter=separator, skipinitialspace=True)
        line = start
        try:
            for cells in reader:
                if cells:
                    yield Line(line + 1, cells)
                line = start + reader.line_num
            return
        except csv.Error as error:
            problem = f"broken CSV ({error}); close each quotation mark, and double those inside a text"
            yield Line(line + 1, problem=problem)
            start = line + 1


def read_tsv(text: str) -> Iterator[Line]:
    """The lines of a text, cut at each tab; quotation marks have no meaning."""
    for number, line in numbered_lines(text):
        yield Line(number, line.split("\t"))


def read_names_and_texts(text: str, separator: str) -> Iterator[Line]:
    """Lines of a name, the separator, and a text that may contain the separator."""
    for number, line in numbered_lines(text):
        name, found, rest = line.partition(separator)
        yield Line(number, [name.strip(), rest] if found else [name.strip()])


def declared_separator(text: str) -> str | None:
    """The separator that a first line `sep=;` declares, as Excel writes and reads it; None without one."""
    found = re.match(r'"?sep=(.)"?[ ,;\t]*(\r|\n|$)', text, re.IGNORECASE)
    return found[1] if found else None


def unquote(text: str) -> str:
    """The text without quotation marks around it, if there are two; those inside are doubled or escaped."""
    inner = text.strip()
    if len(inner) < 2 or inner[0] != '"' or inner[-1] != '"':
        return text
    return re.sub(r'""|\\"', '"', inner[1:-1])


def read_jsonl(text: str) -> Iterator[Line]:
    """The objects of a JSON Lines text, without empty lines."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield parse_json_line(number, line)


def parse_json_line(number: int, line: str) -> Line:
    try:
        cells = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Line(number, problem=f"broken JSON ({error}); write one object on each line")
    if not isinstance(cells, dict):
        return Line(number, problem='not a JSON object; write {"path": ..., "text": ...}')
    return Line(number, list(cells.values()), list(cells))


def split_lines(text: str) -> list[str]:
    """The lines; only line feeds and carriage returns end one, not the other characters of str.splitlines()."""
    return re.split(r"\r\n|\n|\r", text)


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers from 1."""
    return ((number, line) for number, line in enumerate(split_lines(text), 1) if line.strip())


def first_line(path: Path) -> str:
    """The first line of a file that is not empty, without reading the rest; "" if there is none."""
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        return next((line.rstrip("\n") for line in lines if line.strip()), "")


def guess_separator(first: str, wanted: Iterable[str] = SEPARATORS) -> str:
    """The separator with which the first line has the most cells; a comma if it has one cell only."""
    counts = {one: len(next(csv.reader([first], delimiter=one, skipinitialspace=True), [])) for one in wanted}
    best = max(counts, key=lambda separator: counts[separator])
    return best if counts[best] > 1 else ","
