"""Exit codes of the command line. A test compares docs/guides/command-line.md with `MEANINGS`."""

from __future__ import annotations

DONE, FOUND, REFUSED, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

MEANINGS = {
    DONE: "Done.",
    FOUND: "The command ran, and its answer is no; or an error that is not yours to correct.",
    REFUSED: "An error that you can correct: options, data, a missing package, a full disk.",
    INTERRUPTED: "Ended by Ctrl-C.",
    TERMINATED: "Ended by SIGTERM.",
}
