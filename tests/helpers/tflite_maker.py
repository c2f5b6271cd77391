"""Small int8 .tflite files of any shape, written with the schema itself: no converter, no training, a millisecond."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

SAME, VALID = 0, 1
_VERSIONS = {
    3: 3,
    4: 3,
    9: 4,
    22: 1,
    114: 2,
}  # of the int8 kernels of CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, RESHAPE
NONE, RELU, RELU6 = 0, 1, 3


class Maker:
    """Builds a network operator by operator; a tensor is its index. Weights and scales are drawn from ``rng``."""

    def __init__(self, shape, rng, scale=80 / 255, zero_point=-128):
        self.rng, self.tensors, self.operators, self.codes = rng, [], [], []
        self.buffers = [schema.BufferT()]
        self.shapes = []
        self.input = self.tensor(shape, scale, zero_point)

    def tensor(self, shape, scale, zero_point, dtype=9, data=None, axis=0):
        made = schema.TensorT()
        made.name, made.shape, made.type = f"t{len(self.tensors)}".encode(), np.array(shape, np.int32), dtype
        made.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8).copy()
            self.buffers.append(buffer)
            made.buffer = len(self.buffers) - 1
        if scale is not None:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale = np.atleast_1d(np.asarray(scale, np.float32))
            made.quantization.zeroPoint = np.broadcast_to(np.int64(zero_point), made.quantization.scale.shape).copy()
            made.quantization.quantizedDimension = axis
        self.tensors.append(made)
        self.shapes.append(tuple(int(size) for size in shape))
        return len(self.tensors) - 1

    def quantization(self, index):
        found = self.tensors[index].quantization
        return float(found.scale[0]), int(found.zeroPoint[0])

    def operator(self, name, inputs, output, kind=None, **options):
        number = getattr(schema.BuiltinOperator, name)
        if number not in self.codes:
            self.codes.append(number)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = self.codes.index(number), list(inputs), [output]
        if kind is not None:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            made.builtinOptions = getattr(schema, kind + "T")()
            for key, value in options.items():
                assert hasattr(made.builtinOptions, key), key
                setattr(made.builtinOptions, key, value)
        self.operators.append(made)
        return output

    def output_of(self, shape, spread, activation=NONE):
        """Return a tensor whose scale suits sums of that spread (real units)."""
        zero = -128 if activation != NONE else int(self.rng.integers(-60, 60))
        scale = 6 / 255 if activation == RELU6 else spread * self.rng.uniform(2.0, 5.0) / 255
        return self.tensor(shape, scale, zero)

    def _kernel(self, shape, n_in, index, axis):
        weights = self.rng.integers(-127, 128, shape).astype(np.int8)
        n_out = shape[axis]
        scales = self.rng.uniform(0.2, 1.0, n_out) * 2.0 / 127 / np.sqrt(n_in)
        source_scale, _ = self.quantization(index)
        kernel = self.tensor(shape, scales, 0, data=weights, axis=axis)
        bias = np.rint(self.rng.normal(0, 10, n_out) / (scales * source_scale) * 0.1).astype(np.int32)
        bias = self.tensor((n_out,), scales * source_scale, 0, dtype=2, data=bias)
        return kernel, bias, source_scale * 60

    def conv(self, index, n_out, size, stride=(1, 1), padding=SAME, activation=NONE, groups=1, dilation=(1, 1)):
        _, height, width, n_in = self.shapes[index]
        kernel, bias, spread = self._kernel(
            (n_out, *size, n_in // groups), size[0] * size[1] * n_in // groups, index, 0
        )
        shape = (1, *out_size((height, width), reach(size, dilation), stride, padding), n_out)
        made = self.output_of(shape, spread, activation)
        options = {"padding": padding, "strideH": stride[0], "strideW": stride[1], "dilationHFactor": dilation[0]}
        options |= {"dilationWFactor": dilation[1], "fusedActivationFunction": activation}
        return self.operator("CONV_2D", (index, kernel, bias), made, "Conv2DOptions", **options)

    def depthwise(self, index, size, stride=(1, 1), padding=SAME, activation=RELU, multiplier=1, dilation=(1, 1)):
        _, height, width, n_in = self.shapes[index]
        n_out = n_in * multiplier
        kernel, bias, spread = self._kernel((1, *size, n_out), size[0] * size[1], index, 3)
        shape = (1, *out_size((height, width), reach(size, dilation), stride, padding), n_out)
        made = self.output_of(shape, spread, activation)
        options = {"padding": padding, "strideH": stride[0], "strideW": stride[1], "dilationHFactor": dilation[0]}
        options |= {
            "dilationWFactor": dilation[1],
            "fusedActivationFunction": activation,
            "depthMultiplier": multiplier,
        }
        return self.operator("DEPTHWISE_CONV_2D", (index, kernel, bias), made, "DepthwiseConv2DOptions", **options)

    def shifted(self, index, n_out):
        """Of one channel make ``n_out``, each a column further on, by a depthwise layer."""
        _, height, width, _ = self.shapes[index]
        weights = self.rng.integers(1, 128, n_out).astype(np.int8)  # the scales make one of each
        data = (np.eye(n_out) * weights).astype(np.int8)[None, None]
        kernel = self.tensor(data.shape, 1 / weights.astype(np.float64), 0, data=data, axis=3)
        scales = self.quantization(index)[0] / weights.astype(np.float64)
        bias = self.tensor((n_out,), scales, 0, dtype=2, data=np.zeros(n_out, np.int32))
        made = self.tensor((1, height, width - n_out + 1, n_out), *self.quantization(index))
        options = {"padding": VALID, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
        options |= {"fusedActivationFunction": NONE, "depthMultiplier": n_out}
        return self.operator("DEPTHWISE_CONV_2D", (index, kernel, bias), made, "DepthwiseConv2DOptions", **options)

    def slice(self, index, first, size):
        made = self.tensor(size, *self.quantization(index))
        given = [self.tensor((len(size),), None, 0, dtype=2, data=np.array(n, np.int32)) for n in (first, size)]
        return self.operator("SLICE", (index, *given), made, "SliceOptions")

    def times(self, index, activation=NONE):
        """Multiply by a number."""
        factor = self.tensor(
            (), 0.004, int(self.rng.integers(-128, 128)), data=self.rng.integers(-128, 128, ()).astype(np.int8)
        )
        made = self.output_of(self.shapes[index], 20 * self.quantization(index)[0], activation)
        return self.operator("MUL", (index, factor), made, "MulOptions", fusedActivationFunction=activation)

    def dense(self, index, n_out):
        n_in = int(np.prod(self.shapes[index]))
        if len(self.shapes[index]) != 2:
            index = self.reshape(index, (1, n_in))
        kernel, bias, spread = self._kernel((n_out, n_in), n_in, index, 0)
        made = self.output_of((1, n_out), spread)
        options = {"fusedActivationFunction": NONE, "weightsFormat": 0, "keepNumDims": False}
        return self.operator("FULLY_CONNECTED", (index, kernel, bias), made, "FullyConnectedOptions", **options)

    def add(self, a, b, activation=NONE):
        made = self.output_of(self.shapes[a], 90 * (self.quantization(a)[0] + self.quantization(b)[0]), activation)
        return self.operator("ADD", (a, b), made, "AddOptions", fusedActivationFunction=activation)

    def pool(self, name, index, size, stride, padding=VALID, activation=NONE):
        _, height, width, channels = self.shapes[index]
        shape = (1, *out_size((height, width), size, stride, padding), channels)
        made = self.tensor(shape, *self.quantization(index))
        options = {
            "padding": padding,
            "strideH": stride[0],
            "strideW": stride[1],
            "fusedActivationFunction": activation,
        }
        options |= {"filterHeight": size[0], "filterWidth": size[1]}
        return self.operator(name, (index,), made, "Pool2DOptions", **options)

    def reduce(self, name, index, axes, keep=False):
        shape = self.shapes[index]
        made = [1 if i in axes else size for i, size in enumerate(shape) if keep or i not in axes]
        scale, zero = self.quantization(index)
        target = self.tensor(made, scale * {"MEAN": 0.5, "SUM": 4}.get(name, 1), zero)
        indices = self.tensor((len(axes),), None, 0, dtype=2, data=np.array(axes, np.int32))
        return self.operator(name, (index, indices), target, "ReducerOptions", keepDims=keep)

    def pad(self, index, edges):
        shape = [size + sum(edge) for size, edge in zip(self.shapes[index], edges, strict=True)]
        made = self.tensor(shape, *self.quantization(index))
        return self.operator(
            "PAD", (index, self.tensor((4, 2), None, 0, 2, np.array(edges, np.int32))), made, "PadOptions"
        )

    def reshape(self, index, shape):
        made = self.tensor(shape, *self.quantization(index))
        given = self.tensor((len(shape),), None, 0, dtype=2, data=np.array(shape, np.int32))
        return self.operator("RESHAPE", (index, given), made, "ReshapeOptions", newShape=np.array(shape, np.int32))

    def transpose(self, index, order):
        made = self.tensor([self.shapes[index][i] for i in order], *self.quantization(index))
        given = self.tensor((len(order),), None, 0, dtype=2, data=np.array(order, np.int32))
        return self.operator("TRANSPOSE", (index, given), made, "TransposeOptions")

    def concatenate(self, indices, axis):
        shape = list(self.shapes[indices[0]])
        shape[axis] = sum(self.shapes[i][axis] for i in indices)
        made = self.tensor(shape, *self.quantization(indices[0]))
        return self.operator("CONCATENATION", indices, made, "ConcatenationOptions", axis=axis)

    def new_scale(self, index, scale, zero_point):
        return self.operator(
            "QUANTIZE", (index,), self.tensor(self.shapes[index], scale, zero_point), "QuantizeOptions"
        )

    def unary(self, name, index):
        return self.operator(name, (index,), self.tensor(self.shapes[index], *self.quantization(index)))

    def finish(self, output):
        """Return the file's bytes."""
        graph, model = schema.SubGraphT(), schema.ModelT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = (
            self.tensors,
            self.operators,
            [self.input],
            [output],
        )
        model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [graph], self.buffers, []
        for number in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = (
                number,
                min(number, 127),
                _VERSIONS.get(number, 2),
            )
            model.operatorCodes.append(code)
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def out_size(lengths, size, stride, padding):
    """Return rows and columns that a window of that size leaves."""
    if padding == SAME:
        return tuple(-(-length // step) for length, step in zip(lengths, stride, strict=True))
    return tuple((length - window) // step + 1 for length, window, step in zip(lengths, size, stride, strict=True))


def reach(size, dilation):
    """Return rows and columns from the first to the last tap."""
    return tuple((n - 1) * apart + 1 for n, apart in zip(size, dilation, strict=True))


def random_network(seed):
    """Return a network of some layers of random kinds and shapes, and the shape of its input."""
    rng = np.random.default_rng(seed)
    shape = (1, *(int(n) for n in rng.integers(6, 34, 2)), int(rng.choice([1, 1, 2, 3, 8, 16])))
    maker = Maker(shape, rng)
    at = maker.input
    for _ in range(int(rng.integers(2, 7))):
        at = _random_layer(maker, at, rng)
    head = int(rng.integers(0, 4))
    if head == 0:
        at = maker.reduce("MEAN", at, (1, 2))
    elif head == 1:
        at = maker.pool("MAX_POOL_2D", at, maker.shapes[at][1:3], (1, 1))
    elif head == 2:
        at = maker.pool("AVERAGE_POOL_2D", at, maker.shapes[at][1:3], (1, 1))
    if head == 3 and (np.prod(maker.shapes[at]) > 4000 or maker.shapes[at][1] > 16):
        at = maker.reduce("MEAN", at, (1, 2))
    return maker.finish(maker.dense(at, int(rng.integers(2, 20)))), shape


def _random_layer(maker, at, rng):
    height, width = maker.shapes[at][1:3]
    size = [(1, 1), (3, 3), (5, 5), (1, 3), (3, 1), (1, 5), (2, 2), (4, 2), (7, 7), (1, 9)][int(rng.integers(0, 10))]
    stride = (1, 1) if rng.random() < 0.6 else (int(rng.integers(1, 3)), int(rng.integers(1, 4)))
    is_small = size[0] > height or size[1] > width
    padding = SAME if is_small or rng.random() < 0.6 else VALID
    activation = [NONE, RELU, RELU6][int(rng.integers(0, 3))]
    n_out = int(rng.choice([3, 8, 10, 16, 24, 40, 48]))
    kind = int(rng.integers(0, 7))
    if kind <= 1:
        return maker.conv(at, n_out, size, stride, padding, activation)
    if kind == 2:
        return maker.depthwise(at, size, stride, padding, activation)
    if kind == 3:
        wide = maker.conv(at, 2 * n_out, (1, 1), activation=RELU)
        mixed = maker.depthwise(wide, (3, 3) if rng.random() < 0.5 else (5, 5))
        back = maker.conv(mixed, maker.shapes[at][3], (1, 1))
        return maker.add(back, at, activation)
    if kind == 4 and height > 3 and width > 3:
        name = "MAX_POOL_2D" if rng.random() < 0.5 else "AVERAGE_POOL_2D"
        return maker.pool(name, at, (2, 3), stride, VALID if rng.random() < 0.5 else SAME)
    if kind == 5:
        padded = maker.pad(at, ((0, 0), (1, 2), (2, 1), (0, 0)))
        return maker.conv(padded, n_out, (3, 3), stride, VALID, activation)
    return (
        maker.transpose(at, (0, 2, 1, 3))
        if rng.random() < 0.5
        else maker.add(maker.conv(at, n_out, (1, 1)), maker.conv(at, n_out, (1, 1)))
    )
