"""Which of the packages that an implementation needs are installed."""

from __future__ import annotations

import importlib.metadata

from seqloss.verify.implementation import Implementation


def package_versions(implementation: Implementation) -> tuple[dict[str, str], str]:
    """The versions of the packages that an implementation needs.

    Args:
        implementation: with the names of the packages.

    Returns:
        versions by name; and "... is not installed" if one is missing, else "".
    """
    versions = {}
    for package in implementation.packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return versions, f"{package} is not installed"
    return versions, ""
