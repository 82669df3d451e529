"""Whether an Ogg file has its last page.

An Ogg file does not say how long it is: its length is the position in its last page. A truncated file decodes without
an error. Only the flag `end of stream` of the last page tells.

References:
    RFC 3533, The Ogg Encapsulation Format, section 6.
"""

from __future__ import annotations

from typing import BinaryIO

from seqloss.errors import DataError

LARGEST_PAGE = 27 + 255 + 255 * 255
END_OF_STREAM = 4


def check_last_page(file: BinaryIO, size: int) -> None:
    """Raise a `DataError` if the last page is incomplete or does not end the stream."""
    file.seek(max(0, size - LARGEST_PAGE))
    tail = file.read()
    place = tail.rfind(b"OggS\0")
    page = tail[place:] if place >= 0 else b""
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    complete = len(page) > 26 and len(page) >= 27 + page[26] + sum(segments)
    if not complete or not page[5] & END_OF_STREAM:
        raise DataError("truncated: the last Ogg page is missing or incomplete; copy it again")
