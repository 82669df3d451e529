"""One small call of every kernel, to be run under compute-sanitizer: see `test_on_a_device.py`."""

import torch

from seqloss.kernels.triton import tiles
from seqloss.torch import CTCLoss, ctc_align, ctc_greedy, ctc_loss, ctc_posteriors

tiles.LONGEST = 128  # so that the last target is longer than a block, of four warps
for batch, time, classes, labels in ((3, 30, 40, 9), (3, 20, 200, 9), (2, 200, 5, 150)):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch, time, classes, generator=generator).cuda().requires_grad_()
    targets = torch.arange(labels).remainder(classes - 1).add(1).expand(batch, -1).cuda()
    frames = torch.arange(time, time - batch, -1).cuda()
    counts = torch.arange(labels, labels - batch, -1).cuda()
    for kind in (torch.float32, torch.bfloat16):
        scores = logits.to(kind)
        for _ in range(4):  # from the third on as it is done for a form that was seen before
            ctc_loss(scores, targets, frames, counts, reduction="mean").backward(retain_graph=True)
        ctc_loss(scores, targets, frames, counts - 1, normalize=False, validate=False, reduction="sum").backward()
        CTCLoss()(scores.log_softmax(2).transpose(0, 1), targets, frames, counts).backward()
        ctc_posteriors(scores, targets, frames, counts)
        ctc_align(scores, targets, frames, counts)
        ctc_greedy(scores, frames)
torch.cuda.synchronize()
print("every kernel ran")
