"""The severity of a violation.

A result is *wrong* if someone who trains on valid data gets a number that is not the loss or its gradient, or no result
at all: a value beyond rounding, another row that is affected, an exception or NaN for ordinary input, a process that
dies or hangs. It is *careless* if it shows only on input that is invalid or special, and is loud there (an exception,
or NaN in the row with the special value), or if the number is right up to rounding: a loss of -1e-16, invalid labels
that are not refused, a NaN gradient for an infeasible row.

`Law.severity` is that of an exception, of NaN and of whatever the law does not classify. Its check sets
`Violation.severity` where one law can find both. A process that dies or hangs is always wrong, on invalid arguments
too: whatever killed it can also have written into the arrays of valid calls.
"""

from __future__ import annotations

from typing import Final, Literal

Severity = Literal["wrong", "careless"]
WRONG: Final = "wrong"
CARELESS: Final = "careless"
