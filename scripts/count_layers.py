"""Guest instructions of a network's operators on an emulated board: of its first operator, its first two, and so on.

    python scripts/count_layers.py runtime/edgegenre_runtime/default/model_int8.tflite cortex-a72

Prints Markdown: each size of image, its operators and what they add. An operator's own share is a difference, and
XNNPACK fuses neighbors (a PAD goes into the convolution behind it), so the rows are image sizes, not operators.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import groupby
from pathlib import Path

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from edgegenre_bench.emulate.network_instructions import count_network
from edgegenre_runtime.inspect.markdown import markdown_table
from script_output import until_closed


def _first(content: bytes, count: int) -> tuple[bytes, str]:
    """Return the model of the first operators, and the size of the image that the last one makes; "" for a PAD."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    graph = model.subgraphs[0]
    graph.operators = graph.operators[:count]
    graph.outputs = [graph.operators[-1].outputs[0]]
    model.signatureDefs = []
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    code = model.operatorCodes[graph.operators[-1].opcodeIndex].builtinCode
    shape = graph.tensors[graph.outputs[0]].shape
    if code == schema.BuiltinOperator.PAD:
        return bytes(builder.Output()), ""
    is_image = len(shape) == 4 and shape[1] > 1 and code != schema.BuiltinOperator.TRANSPOSE
    return bytes(builder.Output()), f"{shape[1]} × {shape[2]}" if is_image else "pooled"


def main(path: Path, cpu: str) -> None:
    """Count and print."""
    content = path.read_bytes()
    n_operators = schema.Model.GetRootAs(content, 0).Subgraphs(0).OperatorsLength()
    sizes, counts = [], []
    with tempfile.TemporaryDirectory() as folder:
        for count in range(1, n_operators + 1):
            model, size = _first(content, count)
            part = Path(folder) / "part.tflite"
            part.write_bytes(model)
            sizes.append(size)
            counts.append(count_network(part, cpu))
            print(f"{count} of {n_operators}: {counts[-1]}", file=sys.stderr)
    rows = []
    sizes = [size or sizes[i + 1] for i, size in enumerate(sizes)]
    end = before = 0
    for size, group in groupby(sizes):
        start, end = end, end + len(list(group))
        added, before = counts[end - 1] - before, counts[end - 1]
        rows.append((size, f"{start + 1} to {end}", f"{added / 1e6:.2f}", f"{added / counts[-1]:.0%}"))
    print(markdown_table(("image", "operators", f"million instructions, {cpu}", "share"), rows))


if __name__ == "__main__":
    with until_closed():
        main(Path(sys.argv[1]), sys.argv[2])
