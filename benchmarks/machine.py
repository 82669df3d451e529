"""What a result must carry: machine, versions, commit."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import seqloss


def machine(*packages: str) -> dict[str, str]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    model = next((line for line in Path("/proc/cpuinfo").read_text().split("\n") if "model name" in line), ":")
    return {
        "processor": model.split(":")[1].strip() or platform.processor(),
        "python": platform.python_version(),
        **{name: found for name in packages if (found := version_of(name))},
        "seqloss": seqloss.__version__,
        "commit": commit,
    }


def version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
