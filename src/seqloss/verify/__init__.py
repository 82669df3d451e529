"""Verify CTC implementations: check properties ("laws") that every correct implementation has.

`verify` checks one function, and the command `seqloss verify` any number of implementations. The laws are in `laws`,
cases from bug reports in `cases`. `Implementation` describes what a function supports.
"""

from seqloss.verify.effort import FULL, QUICK, Effort
from seqloss.verify.implementation import Implementation
from seqloss.verify.report import Report
from seqloss.verify.verification import verify

__all__ = ["FULL", "QUICK", "Effort", "Implementation", "Report", "verify"]
