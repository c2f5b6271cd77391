"""Naming what cannot be converted, layer by layer, before a converter is started."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from edgegenre_export.silence import quiet
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.frontend import FrontendSpec

__all__ = ["require_supported", "unsupported_layers"]

_FLOAT_ONLY = {torch.ops.aten.amax.default: "which no quantizer takes, use max_pool2d over the whole size"}
"""Operators that convert, but stay float in an int8 model; and what to do."""


def unsupported_layers(network: nn.Module, spec: FrontendSpec) -> list[str]:
    """Return a phrase for each layer that LiteRT has no lowering for: its path, type and operator.

    The network is traced on one window and decomposed as the converter does it; an operator then either has a
    lowering or is known as a composite. Complex numbers have no TFLite type, and some operators no int8 kernel.

    Raises
    ------
    ExportError
        If it cannot be traced: its control flow depends on values, for instance.
    """
    example = (torch.zeros(1, 1, spec.n_mels, spec.frames_per_window),)
    try:
        with quiet():
            from litert_torch import fx_infra  # here: the import logs and warns
            from litert_torch._convert.fx_passes import build_aten_composite_pass as composites
            from litert_torch.backend import lowerings

            program = torch.export.export(network.eval(), example)
            for table in (fx_infra.decomp.pre_convert_decomp(), fx_infra.decomp.pre_lower_decomp()):
                program = fx_infra.safe_run_decompositions(program, table)
    except Exception as error:  # torch raises whatever it met in the user's code
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(
            f"{type(network).__name__} cannot be traced on one window: {reason}; its steps must not depend on values"
        ) from error
    found: dict[str, None] = {}
    for node in program.graph.nodes:
        if node.op != "call_function":
            continue
        is_complex = any(value.dtype.is_complex for value in _tensors(node.meta.get("val")))
        is_known = (
            not isinstance(node.target, torch._ops.OpOverload)
            or lowerings.lookup(node.target) is not None
            or node.target in composites._composite_builders
        )
        if node.target in _FLOAT_ONLY:
            found[f"{_place(node, network)}: {node.target}, {_FLOAT_ONLY[node.target]}"] = None
        elif is_complex or not is_known:
            found[f"{_place(node, network)}: {'complex numbers in ' if is_complex else ''}{node.target}"] = None
    return list(found)


def require_supported(network: nn.Module, spec: FrontendSpec) -> None:
    """Raise :class:`ExportError` naming every layer that cannot be converted."""
    found = unsupported_layers(network, spec)
    if found:
        raise ExportError(f"{type(network).__name__} has layers that do not convert: {'; '.join(found)}: replace them")


def _place(node: Any, network: nn.Module) -> str:
    """Return path and type of the innermost module that a node of the graph comes from."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", type(network).__name__)
    kind = kind if isinstance(kind, str) else kind.__name__
    return f"{path or 'the network itself'} ({kind.rsplit('.', 1)[-1]})"


def _tensors(value: Any) -> list[torch.Tensor]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [item for item in values if isinstance(item, torch.Tensor)]
