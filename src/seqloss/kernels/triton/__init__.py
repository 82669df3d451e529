"""What every GPU kernel needs, in Triton; `ctc/` holds the kernels of CTC.

`tiles.py` sizes the blocks, `launch.py` starts a kernel, `launch_list.py` starts several that were started before,
`extended_exponent.py` has numbers of unlimited range, `pairs.py` and `spans.py` add in a fixed order, `available.py`
says whether a device can run the kernels. Importing any of them but `available` needs Triton.

Under TRITON_INTERPRET=1 the same kernels run in Triton's interpreter, on tensors of the CPU: slowly, but the whole
test suite passes where there is no GPU.
"""
