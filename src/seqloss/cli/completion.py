"""Shell completion: the options `--show-completion` and `--install-completion`.

Typer makes the scripts. Its own options have no value and ask the shell's process for its name, which fails where no
shell started the command. These take the name.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import typer
from typer.completion import completion_init, install_callback, show_callback

Shell: TypeAlias = Literal["bash", "zsh", "fish"]

ShowCompletion: TypeAlias = Annotated[
    Shell | None,
    typer.Option(
        "--show-completion",
        callback=show_callback,
        is_eager=True,
        expose_value=False,
        help="Print the script that completes commands and options in this shell, and exit.",
        show_default=False,
    ),
]
InstallCompletion: TypeAlias = Annotated[
    Shell | None,
    typer.Option(
        "--install-completion",
        callback=install_callback,
        is_eager=True,
        expose_value=False,
        help="Write that script to where this shell finds it, and exit.",
        show_default=False,
    ),
]

complete_for_shells = completion_init
"""Call it once before the application runs: a script asks the application itself for what can follow."""
