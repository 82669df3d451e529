"""Hold any CTC implementation against the definition and the laws that follow from it.

`verify` does it for one function, `seqloss verify` on the command line for any number of them. Read `laws` for what is
tried, `cases` for the bugs that it comes from, `implementation` for what an implementation may promise.
"""

from seqloss.verify.implementation import Implementation
from seqloss.verify.report import Report
from seqloss.verify.run import FULL, QUICK, Effort, verify

__all__ = ["FULL", "QUICK", "Effort", "Implementation", "Report", "verify"]
