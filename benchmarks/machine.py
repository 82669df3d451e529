"""What a result must carry: machine, versions, commit."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import seqloss


def machine(*packages: str) -> dict[str, str]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {
        "processor": processor(),
        "python": platform.python_version(),
        **{name: found for name in packages if (found := version_of(name))},
        "seqloss": seqloss.__version__,
        "commit": commit,
    }


def processor() -> str:
    """Its name, which clouds shorten, and what tells one generation from another."""
    lines = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().split("\n"))
    facts = {name.strip(): value.strip() for name, _, value in lines}
    if "model name" not in facts:
        return platform.processor()
    generation = (f"{name.removeprefix('cpu ')} {facts[name]}" for name in ("cpu family", "model") if name in facts)
    return ", ".join([facts["model name"], *generation, f"{float(facts.get('cpu MHz', 0)) / 1000:.1f} GHz"])


def version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
