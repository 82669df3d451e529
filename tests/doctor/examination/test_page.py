"""The page has every finding, and the examination every law."""

from __future__ import annotations

import re
from pathlib import Path

from seqloss.doctor.laws import laws

ROOT = Path(__file__).parents[3]
NAME = re.compile(r'Finding\(\s*f?"([a-z-]+)')


def test_the_page_names_every_finding() -> None:
    page = (ROOT / "docs" / "guides" / "doctor.md").read_text(encoding="utf-8")
    doctor = ROOT / "src" / "seqloss" / "doctor"
    laws = [law for folder in ("laws", "folder", "watching") for law in (doctor / folder).glob("*.py")]
    names = {name for law in laws for name in NAME.findall(law.read_text(encoding="utf-8"))}
    assert len(names) > 75
    assert [name for name in sorted(names) if f"`{name}" not in page] == []


def test_every_law_is_checked() -> None:
    folder = ROOT / "src" / "seqloss" / "doctor" / "laws"
    files = {file.stem for file in folder.glob("*.py") if "\ndef check(" in file.read_text(encoding="utf-8")}
    assert {name.replace(" ", "_") for name in laws()} == files
