"""TIMIT's 61 phones are folded to 48 and 39."""

from __future__ import annotations

from seqloss.recipes.speech.timit_phones import LABELLED, are_timit_phones, fold_to_39, fold_to_48


def test_there_are_61_labelled_48_trained_and_39_scored_phones() -> None:
    assert len(LABELLED) == 61
    assert len(set(fold_to_48(LABELLED))) == 48
    assert len(set(fold_to_39(LABELLED))) == 39


def test_folding_again_changes_nothing() -> None:
    assert fold_to_48(fold_to_48(LABELLED)) == fold_to_48(LABELLED)
    assert fold_to_39(fold_to_48(LABELLED)) == fold_to_39(LABELLED)


def test_classes_of_lee_and_hon() -> None:
    for group in ("cl vcl epi sil", "el l", "en n", "sh zh", "ao aa", "ih ix", "ah ax"):
        assert len(set(fold_to_39(group.split()))) == 1


def test_other_phone_sets_are_not_folded() -> None:
    assert are_timit_phones(["h#", "sh", "ix"])
    assert not are_timit_phones(["sil", "sh", "ix"])
    assert not are_timit_phones(["h#", "AA"])
