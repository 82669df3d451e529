"""What a report shows of the settings."""

from __future__ import annotations

from seqloss.recipes.speaker.settings import Settings


def test_report_shows_a_margin_of_0_and_no_default() -> None:
    assert Settings(data="x", margin=0.0).to_report()["margin"] == 0.0
    shown = Settings(data="x").to_report()
    assert not {"margin", "layout", "audio", "leave_out", "follow_links"} & set(shown)
