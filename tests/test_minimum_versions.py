"""The lower bounds of pyproject.toml are the versions that `make test-minimum` installs, and every bound is closed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FOR_DEVELOPERS = {"dev", "bench", "docs", "huggingface", "speech-demo"}
"""Extras whose lower bounds are not tested, but for the tools that `make test-minimum` itself needs."""


def requirements(groups: list[list[str]]) -> Iterator[Requirement]:
    found = (Requirement(text) for group in groups for text in group)
    return (requirement for requirement in found if requirement.name != "seqloss")


EXTRAS = PROJECT["optional-dependencies"]
ALL = list(requirements([PROJECT["dependencies"], *EXTRAS.values()]))
OF_USERS = list(
    requirements([PROJECT["dependencies"], *(EXTRAS[name] for name in EXTRAS if name not in FOR_DEVELOPERS)])
)


def lower_bound(specifiers: SpecifierSet) -> Version:
    (bound,) = (Version(one.version) for one in specifiers if one.operator in {">=", "=="})
    return bound


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints-minimum.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


@pytest.mark.parametrize("requirement", ALL, ids=str)
def test_every_requirement_has_a_lower_and_an_upper_bound(requirement: Requirement) -> None:
    operators = sorted(one.operator for one in requirement.specifier)
    assert operators in (["<", ">="], ["=="])


@pytest.mark.parametrize("requirement", OF_USERS, ids=str)
def test_each_lower_bound_is_pinned_for_the_test_of_the_lowest_versions(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    assert pins().get(name) == lower_bound(requirement.specifier), "constraints-minimum.txt: give it this version"


def test_each_pin_is_the_lower_bound_of_a_requirement() -> None:
    bounds = {(canonicalize_name(one.name), lower_bound(one.specifier)) for one in ALL}
    assert set(pins().items()) <= bounds


def test_the_tested_versions_are_within_the_bounds() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    tested = {canonicalize_name(name): version for name, version in pairs}
    outside = [
        str(one)
        for one in ALL
        if (version := tested.get(canonicalize_name(one.name))) and not one.specifier.contains(version)
    ]
    assert outside == []
