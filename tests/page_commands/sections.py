"""The sections of pages that have commands, with what they show of their output."""

from __future__ import annotations

from ..pages import PAGES, Block, blocks_of, prose_of

Section = tuple[str, str]
"""Page and heading."""


def heading_above(block: Block) -> str:
    above = prose_of(block.page).splitlines()[: block.line]
    return next((line.lstrip("#").strip() for line in reversed(above) if line.startswith("#")), "")


def lines_of(block: Block) -> list[str]:
    """The commands of a block; one may stand on several lines."""
    return block.code.replace("\\\n", " ").splitlines()


def runs_something(block: Block) -> bool:
    return block.language == "bash" and any(line.startswith(("seqloss ", "python ")) for line in lines_of(block))


def sections() -> dict[Section, list[Block]]:
    """The blocks of commands, and of their output, that no other test runs."""
    found: dict[Section, list[Block]] = {}
    for page in PAGES:
        from_commands = False
        for block in blocks_of(page):
            if block.language in {"python", "python keras", "bash"}:
                from_commands = runs_something(block)
            if from_commands and block.reason is None and block.language in {"bash", "output"}:
                found.setdefault((page, heading_above(block)), []).append(block)
    return found
