"""Whether an implementation supports a law or a named case."""

from __future__ import annotations

from seqloss.verify.cases import Case
from seqloss.verify.implementation import Implementation
from seqloss.verify.laws.law import Law
from seqloss.verify.runner import Runner


def reason_unsupported(law: Law, runner: Runner) -> str:
    """Why the implementation does not support a law, or "" if it does."""
    implementation = runner.implementation
    if law.name in implementation.unsupported:
        return implementation.unsupported[law.name]
    reasons = {
        "gradient": "it returns no gradient" if runner.gradient is False else "",
        "lengths": "it takes no lengths" if implementation.lengths == "none" else "",
        "upstream": "" if runner.upstream else "it has no argument `upstream`",
        "logits": "it takes log-probabilities" if implementation.scores != "logits" else "",
        "log_probs": "it takes scores before softmax" if implementation.scores != "log_probs" else "",
    }
    return next((reasons[need] for need in sorted(law.needs) if reasons[need]), "")


def supports_case(implementation: Implementation, case: Case) -> bool:
    """Whether a case keeps its meaning with the lengths, blanks and types that an implementation supports."""
    given = case.problem()
    time = given.logits.shape[1]
    frames = implementation.lengths == "both" or bool((given.logit_lengths == time).all())
    labels = implementation.lengths != "none" or len(set(given.target_lengths.tolist())) <= 1
    blank = implementation.blank == "any" or case.name != "blank is the last class"
    return frames and labels and blank and (not case.dtype or case.dtype in implementation.dtypes)
