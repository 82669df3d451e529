"""The commands of a page, run one after another in one folder and in this process.

`seqloss` and `python` run; trainings are short and small. `seqloss verify` of known implementations takes minutes:
here it only finds them, and tests/verify/test_peers.py verifies them. `pip`, `make` and `pytest`, which install
packages or run these tests, are only parsed: see test_parsing.py.
"""

from __future__ import annotations

import runpy
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from ..pages import ROOT

Options = Mapping[str, Sequence[str]]
"""Name of a recipe or script -> the options that make it short."""

SHORT: Options = {
    "ocr": ["--epochs", "1", "--synthetic", "64"],
    "speech": ["--epochs", "1", "--synthetic", "16", "--size", "16", "--layers", "1"],
    "speaker": ["--epochs", "1", "--size", "16", "--dimensions", "8"],
    "stems": ["--epochs", "1", "--size", "32", "--dimensions", "8"],
    "charlm": ["--epochs", "1", "--word-size", "42", "--size", "32"],
    "autoencoder": ["--epochs", "1", "--size", "16"],
}
"""Later options overrule those of the page."""
HOME = "/home/me"
"""The folder as the pages write it."""
MAY_FIND = {"doctor", "verify"}
"""Commands that exit with 1 when they find something."""


class Session:
    """Runs lines of shell in a folder, which has links to the project's scripts.

    Args:
        folder: where they run.
        short: options of recipes and scripts, beside those of `SHORT`.
        patch: of the test.
        read: what was printed since the last call.
        printed: what earlier sessions printed for commands that take long and need no file but the page's own.
        examine: whether trainings are examined.
    """

    def __init__(self, folder: Path, short: Options, patch: pytest.MonkeyPatch, read: Callable[[], str],
                 printed: dict[str, str], *, examine: bool = False) -> None:  # fmt: skip
        self.short, self.patch, self.examine, self.printed = {**SHORT, **short}, patch, examine, printed
        self.read = lambda: read().replace(str(folder), HOME)
        for name in ("examples", "benchmarks"):
            (folder / name).symlink_to(ROOT / name)
        patch.chdir(folder)
        patch.setenv("COLUMNS", "120")
        patch.setenv("SEQLOSS_CACHE_DIR", str(folder / "cache"))

    def run(self, line: str) -> str:
        """Run a line; what it printed. Raises AssertionError if it fails."""
        words = shlex.split(line, comments=True)
        while words and "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            self.patch.setenv(name, value)
        words = [word for word in words if word != "..."]  # "IMAGE ..." means one or more
        if not words or words[0] not in {"seqloss", "python"}:
            return ""
        program, *arguments = words
        command = shlex.join(words)
        if command in self.printed:
            return self.printed[command]
        self.read()
        code = self._seqloss(arguments) if program == "seqloss" else self._python(arguments)
        output = self.read()
        allowed = {0, 1} if program == "seqloss" and arguments[0] in MAY_FIND else {0}
        assert code in allowed, f"exit code {code}: {output}"
        if words[:2] == ["seqloss", "verify"] and "--logits" not in words:
            self.printed[command] = output
        return output

    def _seqloss(self, arguments: list[str]) -> int:
        from seqloss.cli import main
        from seqloss.verify.command import Capabilities, select_implementations

        if arguments[0] == "verify" and "--logits" not in arguments and ".py:" not in " ".join(arguments):
            select_implementations(arguments[1:], Capabilities())
            return 0
        if arguments[0] == "train" and "--help" not in arguments:
            examine = () if self.examine else ("--no-examine",)
            arguments = [*arguments, *examine, "--workers", "0", *self.short[arguments[1]]]
        self.patch.setattr(sys, "argv", ["seqloss", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0)

    def _python(self, arguments: list[str]) -> int:
        script, *options = arguments
        self.patch.setattr(sys, "argv", [script, *options, *self.short.get(Path(script).name, ())])
        self.patch.syspath_prepend(str((ROOT / script).parent))
        runpy.run_path(script, run_name="__main__")
        return 0
