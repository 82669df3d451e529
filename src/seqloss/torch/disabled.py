"""The functions that torch.compile does not trace, wrapped by `torch.compiler.disable`. Imported under compilation."""

from __future__ import annotations

import torch

from seqloss.torch.untraced_functions import UNTRACED

FUNCTIONS = {
    name: torch.compiler.disable(
        function,
        reason=f"{name} runs a kernel that cannot be traced: leave out fullgraph=True, or call it outside the "
        "compiled function",
    )
    for name, function in UNTRACED.items()
}
"""By name, like `seqloss.torch.untraced_functions.UNTRACED`."""
