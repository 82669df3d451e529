"""CTC on the GPU, in Triton: deterministic, without waiting for the device.

Suggested reading order: `pipeline.py` (from logits to loss and gradient), `prepared_targets.py` (labels and lengths),
`frames.py` (the emissions of each frame), `main_path.py`, `step.py` (one frame of the recursion), `sums.py` (all
frames, both directions), `loss.py`, `posteriors.py`, `by_class.py`, `gradient.py`. `replay.py` replays a recorded call
to save host time. `maxima.py`, `trace.py` and `align.py` find the best path, `greedy.py` decodes.
"""
