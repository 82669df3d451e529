"""`seqloss`: the command line.

`app` puts the commands together; each command has a file: `train`, `transcribe`, `align`, `report`, `export`,
`doctor`, `verify`. `console` writes lines, `messages` words errors, `exit_codes` has the codes, `completion` is for
shells. Defaults of `seqloss train` stand in the settings of its recipe.
"""

from seqloss import errors

try:
    from seqloss.cli.app import main
except ModuleNotFoundError as missing:  # the command is installed with the base package too
    if (missing.name or "").partition(".")[0] not in ("typer", "rich"):
        raise
    raise SystemExit(f"seqloss: {errors.missing_extra(str(missing.name), 'train', 'the command line')}") from None

__all__ = ["main"]
