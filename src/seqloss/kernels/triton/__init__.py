"""What every GPU kernel needs, in Triton; `ctc/` holds the kernels of CTC.

`tiles.py` chooses block sizes, `launch.py` launches a kernel, `launch_list.py` launches several recorded kernels at
once, `extended_exponent.py` has numbers of unlimited range, `pairs.py` and `spans.py` add in a fixed order,
`available.py` finds out whether a device can run the kernels, `_compat.py` holds all uses of Triton's private
interfaces. Only `available` can be imported without Triton.

With TRITON_INTERPRET=1, the same kernels run in Triton's interpreter, on CPU tensors: slowly, but the whole test suite
passes on a machine without a GPU.
"""
