"""The header of a NIST SPHERE file, as in TIMIT: lines `name -type value` up to `end_head`, in 1024 bytes or more.

A `sample_coding` like `pcm,embedded-shorten-v2.00` means that the samples are compressed with shorten, which libsndfile
cannot read.

References:
    NIST, SPeech HEader REsources (SPHERE) 2.6; https://www.nist.gov/itl/iad/mig/tools
"""

from __future__ import annotations

from typing import BinaryIO

from seqloss.data.sounds.claims import check_rate, read_exactly
from seqloss.errors import DataError

LARGEST_HEADER = 1 << 20
CODINGS = ("pcm", "ulaw", "mu-law", "alaw")


def claimed_seconds(file: BinaryIO) -> float | None:
    """Seconds of sound that the header of a SPHERE file claims; None without a count.

    Raises:
        DataError: compressed samples, or a rate that cannot be.
    """
    fields = read_fields(file)
    coding = fields.get("sample_coding", "pcm")
    if coding.lower() not in CODINGS:
        raise DataError(
            f"compressed SPHERE (sample_coding {coding}), expected {', '.join(CODINGS)}; "
            "decode it first: sph2pipe -f wav OLD.sph NEW.wav"
        )
    try:
        rate = int(float(fields["sample_rate"]))
        count = int(fields["sample_count"]) if "sample_count" in fields else None
    except (KeyError, ValueError, OverflowError) as error:
        raise DataError(f"the SPHERE header has no usable number in {error}; write the file again") from error
    check_rate(rate)
    return None if count is None else count / rate


def read_fields(file: BinaryIO) -> dict[str, str]:
    """The fields of the header by name."""
    file.seek(0)
    second_line = read_exactly(file, 16)[8:]
    try:
        length = int(second_line)
    except ValueError as error:
        raise DataError("the SPHERE header has no size in its second line; copy the file again") from error
    if not 16 < length <= LARGEST_HEADER:
        raise DataError(f"the SPHERE header claims {length} bytes, expected 1024; copy the file again")
    text = read_exactly(file, length - 16).decode("latin-1")
    found = {}
    for line in text.split("end_head")[0].splitlines():
        words = line.split(None, 2)
        if len(words) == 3:
            found[words[0]] = words[2].strip()
    return found
