"""The training loop: gradients, steps, rates, decay."""

from __future__ import annotations

from doctor_trial.fault import KNOWN, Fault, Patches, everywhere, one

ZERO, BACKWARD = "            run.optimizer.zero_grad()\n", "            value.backward()\n"
STEP = "            run.optimizer.step()\n"
LONG = """\
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARM_UP) * max(0.05, 1 - step / STEPS)
    )
"""
SHORT = "    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / WARM_UP))\n"
SCHEDULES = {recipe: SHORT if recipe in ("digits", "autoencoder", "speakers", "handwriting") else LONG
             for recipe in KNOWN if recipe != "gestures"} | {
    "translation": "    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS, pct_start=0.1)\n",
    "forecast": "    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)\n",
    "melody": LONG.replace("min(1.0, (step + 1) / WARM_UP) * max(0.05, 1 - step / STEPS)",
                           "min((step + 1) / WARM_UP, (WARM_UP / (step + 1)) ** 0.5)"),
}  # fmt: skip
"""Of the recipes that have one."""
CLIPS = {recipe: "1.0" if recipe in ("tagging", "spelling", "charlm", "translation", "forecast", "melody") else "5.0"
         for recipe in KNOWN if recipe != "gestures"} | {"handwriting": "10.0"}  # fmt: skip
"""Of the recipes that clip."""
OPTIMIZERS = {
    recipe: "AdamW(model.parameters(), lr=LEARNING_RATE)"
    if recipe in ("words", "tagging", "charlm", "handwriting") else "Adam(model.parameters(), lr=LEARNING_RATE)"
    for recipe in KNOWN
} | {
    "strokes": "SGD(model.parameters(), lr=30 * LEARNING_RATE, momentum=0.9)",
    "gestures": "SGD(model.parameters(), lr=LEARNING_RATE, momentum=0.9, nesterov=True)",
    "melody": 'AdamW([{"params": weights}, {"params": others, "weight_decay": 0.0}], lr=LEARNING_RATE)',
}  # fmt: skip


def clip(recipe: str) -> str:
    """The line that clips; "" if there is none."""
    return f"            nn.utils.clip_grad_norm_(run.model.parameters(), {CLIPS[recipe]})\n" if recipe in CLIPS else ""


def schedule_step(recipe: str) -> str:
    return "            run.scheduler.step()\n" if recipe in SCHEDULES else ""


def optimized(recipe: str, new: str) -> Patches:
    """With another optimiser."""
    return one(f"torch.optim.{OPTIMIZERS[recipe]}", f"torch.optim.{new}")


def accumulated(recipe: str, of: int, scale: str = "") -> tuple[tuple[str, str], ...]:
    """A step after so many batches."""
    schedule = schedule_step(recipe)
    return (
        (ZERO, f"            if step % {of} == 0:\n                run.optimizer.zero_grad()\n"),
        (BACKWARD, f"            (value{scale}).backward()\n            if step % {of} < {of - 1} and step + 1 < run.steps:\n                step += 1\n"
                   f"{schedule and '    ' + schedule}                continue\n"),
    )  # fmt: skip


def scaled(
    recipe: str, first: str = "", unscale: str = "            run.scaler.unscale_(run.optimizer)\n"
) -> tuple[tuple[str, str], ...]:
    """With a gradient scaler; in the given order."""
    return (
        ("history=[],", 'history=[], scaler=torch.amp.GradScaler("cpu"),'),
        (BACKWARD, f"            run.scaler.scale(value).backward()\n{first}"),
        (clip(recipe) + STEP,
         f"{unscale}{clip(recipe)}            run.scaler.step(run.optimizer)\n            run.scaler.update()\n"),
    )  # fmt: skip


def _decay(recipe: str) -> tuple[tuple[str, str], ...]:
    if recipe in ("strokes", "gestures"):
        return one("momentum=0.9", "momentum=0.9, weight_decay=0.5")
    return optimized(recipe, "Adam(model.parameters(), lr=LEARNING_RATE, weight_decay=0.5)")


def _fast(recipe: str) -> tuple[tuple[str, str], ...]:
    rate = "30 * LEARNING_RATE" if recipe == "strokes" else "LEARNING_RATE"
    if recipe == "translation":
        return (("LEARNING_RATE = 8e-3", "LEARNING_RATE = 0.24"), ("pct_start=0.1", "pct_start=0.001"))
    warm_up = {
        "forecast": (), "gestures": (),
        "melody": one("min((step + 1) / WARM_UP, (WARM_UP / (step + 1)) ** 0.5)", "min(1.0, (WARM_UP / (step + 1)) ** 0.5)"),
    }.get(recipe, one("(step + 1) / WARM_UP", "(step + 1) / 1"))  # fmt: skip
    return ((f"lr={rate}", f"lr=30 * {rate}"), *warm_up)


FAULTS = [
    Fault("no-zero-grad", "facebookresearch/nwm#16", "gradient", everywhere((ZERO, "")), ("gradients-not-zeroed",)),
    Fault(
        "accumulation-not-divided", "agokrani/distillKitPlus#5", "gradient",
        {recipe: accumulated(recipe, 4) for recipe in KNOWN},
        ("accumulation-not-averaged", "gradient-scaled"),
    ),
    Fault(
        "mean-of-means", "huggingface/transformers#34191", "gradient",
        {recipe: (*one("BATCH, shuffle=True", "2, shuffle=True"), *accumulated(recipe, 4, " / 4"))
         for recipe in ("tagging", "charlm", "translation", "melody")},  # few rows, so that their numbers of positions differ
        ("mean-of-means",),
    ),
    Fault(
        "zeroed-before-step", "the project's issue 33", "gradient",
        everywhere((ZERO, ""), (STEP, ZERO + STEP)),
        ("gradient-missing", "gradient-scaled"),
    ),
    Fault(
        "accumulation-lost", "the project's issue 33", "gradient",
        {recipe: accumulated(recipe, 4, " / 4")[1:] for recipe in KNOWN},
        ("accumulated-gradients-lost", "gradient-missing"),
    ),
    Fault(
        "clipped-before-unscaling", "the project's issue 33", "gradient",
        {recipe: scaled(recipe, unscale="") for recipe in CLIPS},
        ("clipped-before-unscaling",),
    ),
    Fault(
        "scheduler-for-optimizer", "pytorch/pytorch#3814", "gradient",
        everywhere((STEP, "            run.scheduler.step()\n"), but=("translation", "gestures"))
        | {"translation": one(STEP, "")},  # whose schedule cannot run for twice its steps
        ("optimizer-not-stepped",),
    ),
    Fault(
        "schedule-per-batch", "leftthomas/SRGAN#94", "structural",
        {recipe: one(text, "    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5, 0.3)\n") for recipe, text in SCHEDULES.items()},
        ("learning-rate-ends-early",),
    ),
    Fault(
        "rate-too-high", "flashlight/wav2letter#519", "other", {recipe: _fast(recipe) for recipe in KNOWN},
        ("updates-too-large", "predicts-the-average", "input-not-used", "only-blanks", "layer-dead", "layer-saturated"),
    ),
    Fault(
        "steps-skipped", "NVIDIA/tacotron2#112", "other",
        {recipe: scaled(recipe, first="            if step % 10:\n                next(run.model.parameters()).grad[0] = float(\"inf\")\n")
         for recipe in KNOWN},
        ("steps-skipped",),
    ),
    Fault(
        "decay-too-strong", "BVLC/caffe#1396", "other", {recipe: _decay(recipe) for recipe in KNOWN},
        ("decay-outweighs-gradient",),
    ),
]  # fmt: skip
