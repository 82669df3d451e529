"""Two optimisers behind one: one for the weights with dense gradients, one for those with sparse gradients.

The parts share their state and their groups with the whole: what a scheduler, Lightning or `load_state_dict` changes
in the whole, the parts see.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from seqloss.errors import DTypeError, GradientError, OptionError, SeqLossWarning
from seqloss.torch.optim.gradients import is_sparse, named_gradients
from seqloss.torch.optim.parts import MakeOptimizer, make_part, share_of, shared_defaults, twin
from seqloss.torch.optim.sparse_parameters import Probe, sparse_names
from seqloss.torch.optim.state_dicts import check_groups, load_checked, wrong_shape


class DenseSparseOptimizer(Optimizer):
    """Optimise a model some of whose gradients are sparse, with one optimiser for both kinds.

    PyTorch's Adam refuses sparse gradients, and SparseAdam refuses dense ones. This finds which parameters get which,
    makes an optimiser for each kind and is one `torch.optim.Optimizer` in front of both: for `zero_grad`, `step`,
    `state_dict`, schedulers, `GradScaler` and Lightning's automatic optimisation. `param_groups` are the groups of the
    dense part, then those of the sparse part. A parameter without a gradient is left as it is.

    Args:
        model: the module whose parameters are optimised. Gradients of embeddings with `sparse=True` are sparse.
        dense: an optimiser's class, or a function that makes one of a list of parameters, for dense gradients.
        sparse: the same for sparse gradients.
        probe: computes the loss of some batch, for a model that computes sparse gradients in other ways: the kinds
            are then those of a backward pass. Weights, gradients, buffers and random numbers stay as they were.

    Raises:
        OptionError: the model has no parameters, or a part does not optimise the parameters that it was given.
        DTypeError: `model` is no module, or `probe` returns no loss.
        GradientError: a gradient is of the other kind, in `step`; no weight has been changed.
        ShapeError: a state dict of another model, in `load_state_dict`; nothing has been loaded.

    Example:
        >>> from functools import partial
        >>> import torch
        >>> from seqloss.torch.optim import DenseSparseOptimizer
        >>> model = torch.nn.Sequential(torch.nn.Embedding(1000, 8, sparse=True), torch.nn.Linear(8, 2))
        >>> optimizer = DenseSparseOptimizer(model, dense=partial(torch.optim.AdamW, lr=1e-2))
        >>> model(torch.tensor([3, 5])).sum().backward()
        >>> optimizer.step()
        >>> [sorted(part.param_groups[0]["params"][0].shape) for part in optimizer.parts.values()]
        [[2, 8], [8, 1000]]
    """

    def __init__(
        self,
        model: nn.Module,
        dense: MakeOptimizer = torch.optim.Adam,
        sparse: MakeOptimizer = torch.optim.SparseAdam,
        probe: Probe | None = None,
    ) -> None:
        names = name_parameters(model)
        of_sparse = sparse_names(model, probe)
        self.names = {param: name for name, param in names.items()}
        self.sparse_params = {names[name] for name in of_sparse}
        if not of_sparse:
            warnings.warn(
                "DenseSparseOptimizer: no parameter gets sparse gradients, so that only `dense` is used; make large "
                "embeddings with sparse=True, or give a probe.",
                SeqLossWarning,
                stacklevel=2,
            )
        chosen = {
            "dense": (dense, [param for name, param in names.items() if name not in of_sparse]),
            "sparse": (sparse, [param for name, param in names.items() if name in of_sparse]),
        }
        self.parts = {kind: make_part(kind, make, params) for kind, (make, params) in chosen.items() if params}
        self.kinds = [kind for kind, part in self.parts.items() for _ in part.param_groups]
        groups = [group for part in self.parts.values() for group in part.param_groups]
        super().__init__(groups, shared_defaults(*self.parts.values()))
        self._share()

    def _share(self) -> None:
        """Give the whole and the parts one state: that of the parts, which Adagrad fills when it is made."""
        state = defaultdict(dict, {key: value for part in self.parts.values() for key, value in part.state.items()})
        for optimizer in (self, *self.parts.values()):
            optimizer.state = state

    def __getstate__(self) -> dict[str, Any]:
        own = ("parts", "kinds", "names", "sparse_params")
        return {**super().__getstate__(), **{name: getattr(self, name) for name in own}}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with own options to the part of their kind: sparse if the model's were found to be.

        Raises:
            OptionError: the parameters are of both kinds, or of a kind that the model did not have.
        """
        if not any(param_group is group for part in self.parts.values() for group in part.param_groups):
            params = param_group["params"]
            param_group["params"] = [params] if isinstance(params, Tensor) else list(params)
            kinds = {"sparse" if param in self.sparse_params else "dense" for param in param_group["params"]}
            if len(kinds) != 1 or not kinds <= self.parts.keys():
                raise OptionError(
                    f"param_group: found parameters of the kinds: {', '.join(sorted(kinds)) or 'none'}; expected one "
                    f"kind that the model has ({', '.join(self.parts)}); make a new DenseSparseOptimizer of the model."
                )
            self.parts[min(kinds)].add_param_group(param_group)
            self.kinds.append(min(kinds))
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of both parts; returns what the closure returns, which is called once.

        Raises:
            GradientError: a gradient is of the other kind; no weight has been changed.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._check_gradients()
        for part in self.parts.values():
            part.step()
        return loss

    def _check_gradients(self) -> None:
        for place, param, gradient in named_gradients(self):
            if is_sparse(gradient) != (param in self.sparse_params):
                kinds = ("sparse", "dense") if is_sparse(gradient) else ("dense", "sparse")
                name = self.names.get(cast(Any, param), place)
                raise GradientError(
                    f"{name}: found a {kinds[0]} gradient, expected a {kinds[1]} one, as the model's modules say or "
                    "the probe had; give a probe that trains as this step does (probe=lambda: loss of a batch)."
                )

    def state_dict(self) -> dict[str, Any]:
        """The state of both parts, and the shapes of the parameters, which `load_state_dict` checks."""
        packed = super().state_dict()
        for group, own in zip(packed["param_groups"], self.param_groups, strict=True):
            group["param_shapes"] = [list(param.shape) for param in own["params"]]
        return packed

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state into both parts.

        Raises:
            ShapeError: the state of another model; nothing has been loaded.
        """
        load_checked(self, state_dict, self._prepare, self._restore)

    def _prepare(self, saved: Mapping[str, Any]) -> dict[str, Optimizer]:
        """The parts with their share of a saved state, each loaded by its own rules; ours stay as they are."""
        check_groups(self, saved)
        for number, (group, own) in enumerate(zip(saved["param_groups"], self.param_groups, strict=True)):
            for param, shape in zip(own["params"], group.get("param_shapes", ()), strict=False):
                if list(param.shape) != list(shape):
                    raise wrong_shape(self.names.get(param, f"a parameter of group {number}"), shape, param.shape)
        loaded = {kind: twin(part) for kind, part in self.parts.items()}
        for kind, part in loaded.items():
            part.load_state_dict(deepcopy(share_of(saved, [kind == own for own in self.kinds])))
        return loaded

    def _restore(self, loaded: dict[str, Optimizer]) -> None:
        for kind, part in self.parts.items():
            part.param_groups, part.state = loaded[kind].param_groups, loaded[kind].state
        groups = {kind: iter(part.param_groups) for kind, part in self.parts.items()}
        self.param_groups = [next(groups[kind]) for kind in self.kinds]
        self._share()


def name_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of a model by name, each once."""
    if not isinstance(model, nn.Module):
        raise DTypeError(
            f"model: found {type(model).__name__}, expected a torch.nn.Module, as its modules say which gradients are "
            "sparse; pass the model itself, not its parameters."
        )
    names = dict(model.named_parameters())
    if not names:
        raise OptionError(f"model: {type(model).__name__} has no parameters, expected at least one.")
    return names
