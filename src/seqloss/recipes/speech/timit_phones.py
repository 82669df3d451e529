"""The phones of TIMIT, folded as is usual: 61 are labelled, 48 are trained, 39 are scored.

The glottal stop q is left out of both. Source: Lee and Hon 1989, "Speaker-independent phone recognition using hidden
Markov models", IEEE Transactions on Acoustics, Speech, and Signal Processing 37 (11), tables I and II.
"""

from __future__ import annotations

from collections.abc import Iterable

TRAINED = {
    "ux": "uw", "axr": "er", "ax-h": "ax", "em": "m", "nx": "n", "eng": "ng", "hv": "hh",
    "pcl": "cl", "tcl": "cl", "kcl": "cl", "qcl": "cl", "bcl": "vcl", "dcl": "vcl", "gcl": "vcl",
    "h#": "sil", "#h": "sil", "pau": "sil",
}  # fmt: skip
"""Of the 61 phones those that are trained under another name."""

SCORED = {
    "cl": "sil", "vcl": "sil", "epi": "sil", "el": "l", "en": "n", "zh": "sh", "ao": "aa", "ix": "ih", "ax": "ah",
}  # fmt: skip
"""Of the 48 phones those that are scored as another one."""

LEFT_OUT = frozenset("q")

LABELLED = frozenset((
    "aa", "ae", "ah", "ao", "aw", "ax", "ax-h", "axr", "ay", "b", "bcl", "ch", "d", "dcl", "dh", "dx", "eh", "el",
    "em", "en", "eng", "epi", "er", "ey", "f", "g", "gcl", "h#", "hh", "hv", "ih", "ix", "iy", "jh", "k", "kcl",
    "l", "m", "n", "ng", "nx", "ow", "oy", "p", "pau", "pcl", "q", "r", "s", "sh", "t", "tcl", "th", "uh", "uw",
    "ux", "v", "w", "y", "z", "zh",
))  # fmt: skip
"""The 61 phones."""


def fold_to_48(phones: Iterable[str]) -> list[str]:
    """The phones that are trained.

    Example:
        >>> fold_to_48("h# sh ix q hv eh dcl".split())
        ['sil', 'sh', 'ix', 'hh', 'eh', 'vcl']
    """
    return [TRAINED.get(phone, phone) for phone in phones if phone not in LEFT_OUT]


def fold_to_39(phones: Iterable[str]) -> list[str]:
    """The phones that are scored; of the 61 or of the 48.

    Example:
        >>> fold_to_39("h# sh ix q hv eh dcl".split())
        ['sil', 'sh', 'ih', 'hh', 'eh', 'sil']
    """
    return [SCORED.get(phone, phone) for phone in fold_to_48(phones)]


def are_timit_phones(phones: Iterable[str]) -> bool:
    """Whether these are phones of TIMIT and of no smaller set: all are among the 61, and silence is h#."""
    found = set(phones)
    return "h#" in found and found <= LABELLED


def describe_other_phones(phones: Iterable[str]) -> str:
    """A line on phones that keep those of TIMIT from being folded; "" if there is no sign of TIMIT.

    Example:
        >>> describe_other_phones("h# sh iy xx h#".split())
        "phones: h# is TIMIT's silence, but xx is none of its 61 phones, so that none is folded; correct the labels"
    """
    found = set(phones)
    others = sorted(found - LABELLED)
    if "h#" not in found or not others:
        return ""
    shown = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
    are = "is" if len(others) == 1 else "are"
    line = f"phones: h# is TIMIT's silence, but {shown} {are} none of its 61 phones"
    return f"{line}, so that none is folded; correct the labels"


def are_trained_phones(phones: Iterable[str]) -> bool:
    """Whether these are some of the 48 phones that `fold_to_48` gives, silence included."""
    found = set(phones)
    return "sil" in found and found <= set(fold_to_48(LABELLED))
