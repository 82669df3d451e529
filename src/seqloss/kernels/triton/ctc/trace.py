"""The path along the stored steps, and its classes, spans and log-probabilities.

Following the steps is sequential in time and waits for one byte per frame, so this kernel only stores states. The next
kernel processes all frames at once: the states of a frame and of its neighbours determine its class and whether a label
begins or ends there. Each place is written by one frame only.
"""

import triton
import triton.language as tl

from seqloss.kernels.triton.spans import log_probability_of_best


@triton.jit(do_not_specialize=["batch", "time", "labels_axis"])
def follow_steps(steps, frame_counts, states, batch, time, labels_axis, ROWS: tl.constexpr):
    """Store the state of each frame, (batch, time)."""
    n = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    frames = tl.load(frame_counts + n, mask=n < batch, other=0).to(tl.int32)
    most = tl.max(frames, 0)
    state = tl.zeros_like(frames)
    t = 0
    while t < most:
        inside = t < frames
        byte = tl.load(steps + (n * time + t) * (labels_axis + 1) + state // 2, mask=inside, other=0).to(tl.int32)
        state += tl.where(state % 2 == 1, byte & 3, byte >> 2)
        tl.store(states + n * time + t, state, mask=inside)
        t += 1


@triton.jit(do_not_specialize=["count", "time", "labels_axis", "blank"])
def read_path(
    logits, row_step, time_step, class_step, labels, tops, others, frame_counts,
    states, blank, classes, log_probs, first, last, count, time, labels_axis,
    NORMALIZE: tl.constexpr, FRAMES: tl.constexpr,
):  # fmt: skip
    """Store class and log-probability of each frame, and the first and the last frame of each label."""
    place = tl.program_id(0).to(tl.int64) * FRAMES + tl.arange(0, FRAMES)
    there = place < count
    n, t = place // time, place % time
    frames = tl.load(frame_counts + n, mask=there, other=0)
    inside = there & (t < frames)
    state = tl.load(states + place, mask=inside, other=0)
    label, odd = state // 2, inside & (state % 2 == 1)
    k = tl.load(labels + n * labels_axis + label, mask=odd, other=0).to(tl.int64)
    k = tl.where(odd, k, blank)
    x = tl.load(logits + n * row_step + t * time_step + k * class_step, mask=inside, other=0.0)
    score = x.to(tl.float32).to(tl.float64)
    if NORMALIZE:
        top = tl.load(tops + place, mask=inside, other=0.0).to(tl.float64)
        score = (score - top) + log_probability_of_best(tl.load(others + place, mask=inside, other=0.0))
    tl.store(classes + place, tl.where(inside, k, -1), mask=there)
    tl.store(log_probs + place, score, mask=inside)
    before = tl.load(states + place - 1, mask=odd & (t > 0), other=-1)
    after = tl.load(states + place + 1, mask=odd & (t + 1 < frames), other=-1)
    tl.store(first + n * labels_axis + label, t, mask=odd & (state != before))
    tl.store(last + n * labels_axis + label, t, mask=odd & (state != after))
