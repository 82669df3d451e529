"""CTC on the GPU, in Triton: deterministic, without a wait for the device.

To be read in this order: `wide.py` (the numbers), `frames.py` (what each frame gives), `text.py` (what each target
gives), `main_path.py`, `step.py` (one frame of the recursion), `sums.py` (all frames, both ways), `posteriors.py`,
`by_class.py`, `gradient.py`, `ctc.py` (all of it, from logits to loss and gradient), `planned.py` (once more, for
less). `tiles.py` sizes the blocks, `launch.py` starts a kernel and `series.py` a number of them that were started
before, `available.py` says whether a device can run them.
Importing any of them but `available` needs Triton.

Under TRITON_INTERPRET=1 the same kernels run in Triton's interpreter, on tensors of the CPU: slowly, but the whole
suite of tests passes where there is no GPU.
"""
