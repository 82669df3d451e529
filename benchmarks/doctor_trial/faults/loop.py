"""The training loop: gradients, steps, rates, decay."""

from __future__ import annotations

from doctor_trial.fault import RECIPES, Fault, everywhere, one

ZERO, BACKWARD = "            run.optimizer.zero_grad()\n", "            value.backward()\n"
STEP = "            run.optimizer.step()\n"
LONG = """\
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARM_UP) * max(0.05, 1 - step / STEPS)
    )
"""
SHORT = "    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / WARM_UP))\n"
SCHEDULES = {recipe: SHORT if recipe in ("digits", "autoencoder", "speakers") else LONG for recipe in RECIPES}
CLIPS = {recipe: "1.0" if recipe in ("tagging", "spelling", "charlm") else "5.0" for recipe in RECIPES}


def clip(recipe: str) -> str:
    return f"            nn.utils.clip_grad_norm_(run.model.parameters(), {CLIPS[recipe]})\n"


def accumulated(recipe: str, of: int, scale: str = "") -> tuple[tuple[str, str], ...]:
    """A step after so many batches."""
    last = clip(recipe)
    return (
        (ZERO, f"            if step % {of} == 0:\n                run.optimizer.zero_grad()\n"),
        (BACKWARD, f"            (value{scale}).backward()\n            if step % {of} < {of - 1} and step + 1 < run.steps:\n                step += 1\n"
                   f"                run.scheduler.step()\n                continue\n"),
        (last, last),
    )  # fmt: skip


def scaled(
    recipe: str, first: str = "", unscale: str = "            run.scaler.unscale_(run.optimizer)\n"
) -> tuple[tuple[str, str], ...]:
    """With a gradient scaler; in the given order."""
    return (
        ("history=[],", 'history=[], scaler=torch.amp.GradScaler("cpu"),'),
        (BACKWARD, f"            run.scaler.scale(value).backward()\n{first}"),
        (clip(recipe), unscale + clip(recipe)),
        (STEP, "            run.scaler.step(run.optimizer)\n            run.scaler.update()\n"),
    )


def _decay(recipe: str) -> tuple[tuple[str, str], ...]:
    if recipe == "strokes":
        return one("momentum=0.9)", "momentum=0.9, weight_decay=0.5)")
    old = "AdamW" if recipe in ("words", "tagging", "charlm") else "Adam"
    return one(f"torch.optim.{old}(model.parameters(), lr=LEARNING_RATE)",
               "torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, weight_decay=0.5)")  # fmt: skip


def _fast(recipe: str) -> tuple[tuple[str, str], ...]:
    rate = "30 * LEARNING_RATE" if recipe == "strokes" else "LEARNING_RATE"
    return ((f"lr={rate}", f"lr=30 * {rate}"), ("(step + 1) / WARM_UP", "(step + 1) / 1"))


FAULTS = [
    Fault("no-zero-grad", "facebookresearch/nwm#16", "gradient", everywhere((ZERO, "")), ("gradients-not-zeroed",)),
    Fault(
        "accumulation-not-divided", "agokrani/distillKitPlus#5", "gradient",
        {recipe: accumulated(recipe, 4) for recipe in RECIPES},
        ("accumulation-not-averaged", "gradient-scaled"),
    ),
    Fault(
        "mean-of-means", "huggingface/transformers#34191", "gradient",
        {recipe: (*one("BATCH, shuffle=True", "2, shuffle=True"), *accumulated(recipe, 4, " / 4"))
         for recipe in ("tagging", "charlm")},  # few rows, so that their numbers of positions differ
        ("mean-of-means",),
    ),
    Fault(
        "zeroed-before-step", "the project's issue 33", "gradient",
        {recipe: ((ZERO, ""), (clip(recipe), clip(recipe) + ZERO)) for recipe in RECIPES},
        ("gradient-missing", "gradient-scaled"),
    ),
    Fault(
        "accumulation-lost", "the project's issue 33", "gradient",
        {recipe: accumulated(recipe, 4, " / 4")[1:] for recipe in RECIPES},
        ("accumulated-gradients-lost", "gradient-missing"),
    ),
    Fault(
        "clipped-before-unscaling", "the project's issue 33", "gradient",
        {recipe: scaled(recipe, unscale="") for recipe in RECIPES},
        ("clipped-before-unscaling",),
    ),
    Fault(
        "scheduler-for-optimizer", "pytorch/pytorch#3814", "gradient",
        everywhere((STEP, "            run.scheduler.step()\n")),
        ("optimizer-not-stepped",),
    ),
    Fault(
        "schedule-per-batch", "leftthomas/SRGAN#94", "structural",
        {recipe: one(text, "    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5, 0.3)\n") for recipe, text in SCHEDULES.items()},
        ("learning-rate-ends-early",),
    ),
    Fault(
        "rate-too-high", "flashlight/wav2letter#519", "other", {recipe: _fast(recipe) for recipe in RECIPES},
        ("updates-too-large", "predicts-the-average", "input-not-used", "only-blanks", "layer-dead", "layer-saturated"),
    ),
    Fault(
        "steps-skipped", "NVIDIA/tacotron2#112", "other",
        {recipe: scaled(recipe, first="            if step % 10:\n                next(run.model.parameters()).grad[0] = float(\"inf\")\n")
         for recipe in RECIPES},
        ("steps-skipped",),
    ),
    Fault(
        "decay-too-strong", "BVLC/caffe#1396", "other", {recipe: _decay(recipe) for recipe in RECIPES},
        ("decay-outweighs-gradient",),
    ),
]  # fmt: skip
