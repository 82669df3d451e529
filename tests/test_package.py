"""The files of the wheel and of the source distribution, built with the build backend in this process."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[1]
NEEDED_BY_TESTS = ("tests", "benchmarks", "docs", "website", "src")
FILES_NEEDED_BY_TESTS = (
    "Makefile",
    "README.md",
    "constraints.txt",
    "constraints-minimum.txt",
    "pyproject.toml",
    "zensical.toml",
)


def files_under(folder: Path) -> set[str]:
    """Paths from the repository's root; what Python and the tools leave behind is not counted."""
    files = (path.relative_to(ROOT) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in files if "__pycache__" not in path.parts and not path.name.startswith(".")}


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    with zipfile.ZipFile(path) as wheel:
        return set(wheel.namelist())


@pytest.fixture(scope="module")
def sdist_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    (path,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("sdist")), versions=["standard"])
    with tarfile.open(path) as sdist:
        return {name.partition("/")[2] for name in sdist.getnames()}


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel_names: set[str]) -> None:
    expected = {name.removeprefix("src/") for name in files_under(ROOT / "src" / "seqloss")}
    assert {name for name in wheel_names if ".dist-info/" not in name} == expected


def test_the_wheel_holds_the_word_list_the_templates_and_the_typing_marker(wheel_names: set[str]) -> None:
    suffixes = {Path(name).suffix for name in wheel_names if ".dist-info/" not in name}
    assert suffixes >= {".txt", ".html", ".typed"}


def test_the_wheel_holds_the_license_and_the_entry_points(wheel_names: set[str]) -> None:
    metadata = {name.partition(".dist-info/")[2] for name in wheel_names if ".dist-info/" in name}
    assert metadata >= {"METADATA", "entry_points.txt", "licenses/LICENSE"}


@pytest.mark.parametrize("folder", NEEDED_BY_TESTS)
def test_the_source_distribution_holds_every_file_of_a_folder_that_tests_need(
    folder: str, sdist_names: set[str]
) -> None:
    assert files_under(ROOT / folder) - sdist_names == set()


@pytest.mark.parametrize("name", FILES_NEEDED_BY_TESTS)
def test_the_source_distribution_holds_each_file_that_tests_need(name: str, sdist_names: set[str]) -> None:
    assert name in sdist_names
