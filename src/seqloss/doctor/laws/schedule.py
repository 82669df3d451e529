"""The learning rates of the whole training, from the schedule alone."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator

from torch import Tensor

from seqloss.doctor.bars import thin
from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import NotChecked, Subject

MOST = 100_000
"""Steps that are tried."""

UNKNOWN, LEDGER = 1000, 10_000
"""Steps that are tried for the largest rate: if their number is not known, and at most."""

OVER = 0.3
"""Share of the training with a learning rate of 0, or below a millionth of the largest."""

CODE = """\
rates = []
for _ in range(steps):
    rates.append(scheduler.get_last_lr())
    optimizer.step(); scheduler.step()
"""


def check(subject: Subject) -> Iterator[Finding]:
    if subject.scheduler is None or subject.steps is None or subject.optimizer is None:
        raise NotChecked("scheduler, optimizer and steps are needed")
    if not hasattr(subject.scheduler, "get_last_lr"):
        raise NotChecked(f"{type(subject.scheduler).__name__} has no get_last_lr")
    rates = learning_rates(subject)
    if not rates:
        raise NotChecked("the schedule needs a metric in each step")
    bad = [rate for rate in rates if not math.isfinite(rate) or rate < 0]
    largest = max(rates)
    if bad:
        yield Finding(
            "learning-rate-invalid", "error", {"found": bad[0], "step": rates.index(bad[0])},
            "the schedule gives a learning rate that is negative or not finite", "Check its formula at this step", CODE,
            {"learning rate": thin(rates)},
        )  # fmt: skip
        return
    dead = sum(rate <= 1e-6 * largest for rate in rates) / len(rates)
    if largest == 0 or dead > OVER:
        first = next((step for step, rate in enumerate(rates) if step and rate <= 1e-6 * largest), 0)
        yield Finding(
            "learning-rate-ends-early", "error", {"steps": len(rates), "share without learning": dead, "from": first},
            "the learning rate is 0, or almost, for much of the training: the schedule was made for fewer steps, or "
            "for epochs and is advanced in each batch",
            "Make the schedule for the number of calls of scheduler.step()", CODE, {"learning rate": thin(rates)},
        )  # fmt: skip
    elif len(rates) > 10 and rates.index(largest) >= len(rates) - 1 and largest > 2 * rates[0]:
        yield Finding(
            "warm-up-never-ends", "error", {"steps": len(rates), "first rate": rates[0], "last rate": rates[-1]},
            "the learning rate still rises in the last step: the warm-up is longer than the training",
            "Count the warm-up in calls of scheduler.step(), and make it a tenth of them or less", CODE,
            {"learning rate": thin(rates)},
        )  # fmt: skip


def learning_rates(subject: Subject) -> list[float]:
    """The largest rate of the groups at each step; none if the schedule takes a metric, as ReduceLROnPlateau does."""
    assert subject.steps is not None
    return [float(max(rates)) for rates in group_rates(subject, min(subject.steps, MOST))]


def group_rates(subject: Subject, steps: int) -> list[list[float]]:
    """The rate of each group at each step; none if the schedule takes a metric.

    Args:
        subject: with a schedule.
        steps: that are tried; the schedule is as before afterwards, the optimiser is not.
    """
    scheduler, rates = subject.scheduler, []
    before = copy.deepcopy(scheduler.state_dict())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no step of the optimiser is taken
            for _ in range(steps):
                rates.append(list(scheduler.get_last_lr()))
                scheduler.step()
    except TypeError:
        return []
    finally:
        scheduler.load_state_dict(before)
    return rates


def largest_rates(subject: Subject) -> list[float | Tensor]:
    """Of each group of the optimiser, over the schedule: a warm-up may begin at 0, or at almost 0.

    Without a schedule that can be run, the rate of the optimiser, or the one that its schedule begins with.
    """
    assert subject.optimizer is not None
    groups = subject.optimizer.param_groups
    own = [group["lr"] for group in groups]
    if subject.scheduler is None:
        return own
    begun = [group.get("initial_lr", rate) for group, rate in zip(groups, own, strict=True)]
    steps = subject.steps or getattr(subject.scheduler, "total_steps", None) or UNKNOWN
    found = group_rates(subject, min(int(steps), LEDGER)) if hasattr(subject.scheduler, "get_last_lr") else []
    for group, rate in zip(groups, own, strict=True):
        group["lr"] = rate
    found = [rates for rates in found if len(rates) == len(begun)]
    return [max(one) for one in zip(*(found or [begun]), strict=True)]
