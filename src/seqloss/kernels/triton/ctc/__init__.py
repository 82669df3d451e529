"""CTC on the GPU, in Triton: deterministic, and never waits for the device.

To be read in this order: `frames.py` (what each frame contributes), `prepared_targets.py` (what each target
contributes), `main_path.py`, `step.py` (one frame of the recursion), `sums.py` (all frames, both directions),
`posteriors.py`, `by_class.py`, `gradient.py`, `pipeline.py` (from logits to loss and gradient), `replay.py` (a call
with a known signature, for less host time). `maxima.py`, `trace.py` and `align.py` find the best path, `greedy.py`
decodes.
"""
