"""What the compiler fuses: pointwise steps on the input become a table, a maximum goes into its convolution."""

import numpy as np
import pytest
from tflite_maker import RELU, VALID, Maker

from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.network.compiler import compile_network, read_network
from edgegenre_runtime.network.compiler.fuse import fuse
from edgegenre_runtime.network.compiler.lower import lower
from edgegenre_runtime.network.compiler.program import CALLER, Kind
from edgegenre_runtime.network.engine import Engine, load
from edgegenre_runtime.network.reference import run_reference

ENGINE = pytest.mark.skipif(load() is None, reason="the C library is not built")


def pointwise_and_pooled(pool, frames, n_readers=1, width=None):
    """Bands as channels, two ReLUs and their sum, then a convolution over time whose maxima a dense layer takes."""
    made = Maker((1, 16, frames, 1), np.random.default_rng(pool))
    turned = made.transpose(made.reshape(made.input, (1, 16, 1, frames)), (0, 3, 2, 1))
    turned = made.reshape(turned, (1, 1, frames, 16))
    knees = [made.depthwise(turned, (1, 1), activation=RELU) for _ in range(2)]
    conv = made.conv(made.add(*knees), 16, (1, 3), padding=VALID)
    most = made.pool("MAX_POOL_2D", conv, (1, pool), (1, width or pool))
    parts = [made.reduce("MEAN", at, (1, 2)) for at in (most, conv)[:n_readers]]
    if n_readers == 2:
        scale, zero = made.quantization(parts[0])
        parts = [made.concatenate([made.new_scale(i, scale, zero) for i in parts], 1)]
    return made.finish(made.dense(parts[0], 4))


def kinds(model):
    return [step.kind for step in fuse(lower(read_network(model))).steps]


@ENGINE
@pytest.mark.parametrize(("pool", "frames"), [(2, 10), (2, 33), (4, 18), (4, 35), (2, 16), (4, 64)])
def test_what_is_fused_answers_as_the_reference(pool, frames):
    model = pointwise_and_pooled(pool, frames)
    assert kinds(model)[:2] == [Kind.COPY, Kind.CONV]
    assert not {Kind.DEPTHWISE, Kind.ADD, Kind.MAX} & set(kinds(model))
    graph, engine, rng = read_network(model), Engine(compile_network(model)), np.random.default_rng(0)
    for _ in range(20):
        cells = rng.integers(-128, 128, (16, frames)).astype(np.int8)
        assert np.array_equal(engine.run(cells), run_reference(graph, cells))


@pytest.mark.parametrize(
    ("pool", "frames", "n_readers", "width"), [(3, 20, 1, None), (4, 6, 1, None), (2, 20, 1, 1), (4, 20, 2, None)]
)
def test_other_maxima_stay_steps_of_their_own(pool, frames, n_readers, width):
    """Of three columns, of too few cells, of overlapping windows, or of a tensor that somebody else reads."""
    assert Kind.MAX in kinds(pointwise_and_pooled(pool, frames, n_readers, width))


def test_the_shipped_network_reads_its_input_through_one_table():
    steps = fuse(lower(read_network(GenreClassifier.load().bundle.read("model_int8.tflite")))).steps
    assert [step.kind for step in steps if CALLER in step.inputs] == [Kind.COPY]
    assert steps[0].weights.shape == (1, 256)
    assert [step.pool for step in steps if step.kind is Kind.CONV][:3] == [4, 4, 4]
