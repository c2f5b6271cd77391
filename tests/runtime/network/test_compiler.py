"""The compiler: what it reads, what it refuses by name, and the plan that it makes."""

import numpy as np
import pytest
from tflite_maker import NONE, RELU, SAME, VALID, Maker, random_network

from edgegenre_export.convert.float_frontend import FloatFrontend
from edgegenre_export.convert.tflite.from_torch import frontend_tflite
from edgegenre_export.convert.tflite.join import join_tflite
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.bundle_names import find_bundle
from edgegenre_runtime.network.compiler import compile_network, read_header, read_network
from edgegenre_runtime.network.compiler.blob import _small_chunks
from edgegenre_runtime.network.compiler.lower import lower
from edgegenre_runtime.network.compiler.plan import plan
from edgegenre_runtime.network.compiler.program import CALLER, Kind


def maker(shape=(1, 12, 12, 8)):
    return Maker(shape, np.random.default_rng(0))


def finished(made, output):
    return made.finish(made.dense(made.reduce("MEAN", output, (1, 2)), 4))


def test_the_graph_is_what_the_schema_reads():
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    classifier = GenreClassifier.load()
    int8, front = classifier.bundle.read("model_int8.tflite"), FloatFrontend(classifier.tables, (1, 128, 128, 1))
    spec = classifier.tables.spec
    for model in (int8, join_tflite(frontend_tflite(front, spec), int8, spec.sample_rate_hz, classifier.labels)):
        mine, theirs = read_network(model), schema.ModelT.InitFromPackedBuf(model, 0).subgraphs[0]
        assert len(mine.tensors) == len(theirs.tensors)
        for tensor, other in zip(mine.tensors, theirs.tensors, strict=True):
            assert tensor.name == other.name.decode()
            assert list(tensor.shape) == ([] if other.shape is None else list(other.shape))
            quantization = other.quantization
            scales = [] if quantization is None or quantization.scale is None else quantization.scale
            assert np.array_equal(tensor.scales, np.asarray(scales, np.float32))
        assert [list(o.inputs) for o in mine.operators] == [list(o.inputs) for o in theirs.operators]


@pytest.mark.parametrize("n_bytes", [0, 4, 7, 8, 20, 200, 3000, 100_000])
def test_a_file_that_is_cut_short_is_refused(n_bytes):
    model = GenreClassifier.load().bundle.read("model_int8.tflite")
    with pytest.raises(ExportError):
        compile_network(model[:n_bytes])


def test_a_file_whose_bytes_are_changed_is_refused_or_compiled():
    """No change of bytes may give another error than the project's own."""
    model, rng = random_network(3)[0], np.random.default_rng(0)
    refused = []
    for _ in range(300):
        damaged = bytearray(model)
        for at in rng.integers(0, len(model), 4):
            damaged[at] = int(rng.integers(0, 256))
        try:
            compile_network(bytes(damaged))
        except ExportError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert not any("\n" in reason for reason in refused)


def _softmax(made):
    return made.unary("SOFTMAX", made.conv(made.input, 8, (1, 1)))


def _sum(made):
    made.conv(made.input, 8, (1, 1))
    return made.operator("MUL", (made.input, made.input), made.output_of(made.shapes[made.input], 1.0))


def _too_dilated(made):
    return made.conv(made.input, 8, (3, 3), dilation=(50, 1))


def _sliced_between_scales(made):
    output = made.slice(made.input, (0, 0, 0, 0), (1, 3, 3, 8))
    made.tensors[output].quantization.scale[0] *= 2
    return output


def _sliced_outside(made):
    return made.slice(made.input, (0, 0, 9, 0), (1, 12, 4, 8))


def _sliced_to_padding(made):
    padded = made.pad(made.input, ((0, 0), (0, 0), (5, 5), (0, 0)))
    return made.conv(made.slice(padded, (0, 0, 0, 0), (1, 12, 4, 8)), 8, (3, 3))


def _lowest_weight(made):
    output = made.conv(made.input, 8, (1, 1))
    made.buffers[made.tensors[made.operators[-1].inputs[1]].buffer].data[:] = 0x80
    return output


def _large_bias(made):
    output = made.conv(made.input, 8, (1, 1))
    data = made.buffers[made.tensors[made.operators[-1].inputs[2]].buffer].data
    data[:] = np.frombuffer(np.full(8, 2**31 - 1, np.int32).tobytes(), np.uint8)
    return output


def _int16(made):
    output = made.conv(made.input, 8, (1, 1))
    made.tensors[output].type = 7
    return output


def _pool_between_scales(made):
    output = made.pool("MAX_POOL_2D", made.input, (2, 2), (2, 2))
    made.tensors[output].quantization.scale[0] *= 2
    return output


def _padded_channels(made):
    return made.conv(made.pad(made.input, ((0, 0), (0, 0), (0, 0), (0, 1))), 8, (1, 1))


def _joined_between_scales(made):
    return made.concatenate([made.conv(made.input, 8, (1, 1)), made.conv(made.input, 8, (1, 1))], 3)


def _wrong_shape(made):
    output = made.conv(made.input, 8, (3, 3), padding=VALID)
    made.tensors[output].shape = np.array((1, 12, 12, 8), np.int32)
    made.shapes[output] = (1, 12, 12, 8)
    return output


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (_softmax, "the operator SOFTMAX"),
        (_sum, "MUL by more than one constant number"),
        (_too_dilated, "CONV_2D with a dilation of 50 x 1"),
        (_sliced_between_scales, "SLICE between two scales"),
        (_sliced_outside, "SLICE from 9, 4 of 12"),
        (_sliced_to_padding, "SLICE of nothing but padding"),
        (_lowest_weight, "CONV_2D with the weight -128"),
        (_large_bias, "CONV_2D whose sums do not fit 32 bits"),
        (_int16, "of int16"),
        (_pool_between_scales, "MAX_POOL_2D between two scales"),
        (_wrong_shape, "CONV_2D whose output does not fit its input"),
        (lambda m: m.pad(m.input, ((0, 0), (1, 1), (1, 1), (0, 0))), "PAD before another operator"),
        (lambda m: m.conv(m.input, 8, (3, 3), padding=SAME, activation=4), "the fused activation 4"),
        (_padded_channels, r"PAD of \[\[0, 0\], \[0, 0\], \[0, 0\], \[0, 1\]\] before CONV_2D"),
        (_joined_between_scales, "CONCATENATION between two scales"),
        (lambda m: m.reduce("MEAN", m.conv(m.input, 8, (1, 1)), (3,), keep=True), "MEAN over channels"),
    ],
)
def test_what_the_engine_does_not_take_is_refused_by_name(build, says):
    made = maker()
    with pytest.raises(ExportError, match=says):
        compile_network(finished(made, build(made)))


def _sliced_into_itself(made):
    copies = made.shifted(made.input, 3)
    sliced = made.slice(copies, (0, 0, 0, 0), made.shapes[copies])
    made.operators[-1].outputs = [copies]
    made.tensors[sliced].shape = np.array(made.shapes[copies], np.int32)
    return made.conv(copies, 8, (1, 1))


def test_a_slice_of_itself_is_refused():
    made = maker((1, 12, 12, 1))
    with pytest.raises(ExportError, match="contradicts itself"):
        compile_network(finished(made, _sliced_into_itself(made)))


def test_shifted_copies_of_one_channel_are_a_view():
    """Two dilated convolutions, one of them on a slice, on one image of one channel; other readers get real copies."""
    made = maker((1, 20, 40, 1))
    copies = made.shifted(made.pad(made.input, ((0, 0), (0, 0), (5, 6), (0, 0))), 4)
    wide = made.conv(copies, 8, (1, 3), padding=VALID, dilation=(1, 4))
    sliced = made.slice(copies, (0, 0, 8, 0), (1, 20, 36, 4))
    narrow = made.conv(sliced, 8, (17, 1), padding=VALID)
    heads = [made.reduce("MEAN", at, (1, 2)) for at in (wide, narrow)]
    joined = made.concatenate([made.new_scale(at, 0.1, 0) for at in heads], 1)
    program = lower(read_network(made.finish(made.dense(joined, 4))))
    kinds = [step.kind for step in program.steps]
    assert kinds[:2] == [Kind.COPY, Kind.CONV]
    convolutions = [step for step in program.steps if step.kind is Kind.CONV][:2]
    assert [step.kernel for step in convolutions] == [(1, 12), (17, 4)]
    assert [step.padding for step in convolutions] == [(0, 5), (0, 0)]
    assert Kind.DEPTHWISE not in kinds
    made = maker((1, 20, 40, 1))
    copies = made.shifted(made.input, 4)
    met = made.conv(copies, 8, (1, 3), padding=VALID, dilation=(1, 3))  # taps that share a column
    assert [s.kernel for s in lower(read_network(finished(made, met))).steps][1:3] == [(1, 4), (1, 7)]


@pytest.mark.parametrize(("stride", "n_rows"), [(5, 1), (7, 1), (3, 2), (1, 4)])
def test_a_maximum_keeps_the_rows_that_its_next_window_takes_again(stride, n_rows):
    made = maker((1, 40, 9, 8))
    wide = made.conv(made.input, 64, (1, 1), activation=RELU)
    program = plan(lower(read_network(finished(made, made.pool("MAX_POOL_2D", wide, (5, 1), (stride, 1))))))
    pool = next(step for step in program.steps if step.kind is Kind.MAX)
    assert program.buffers[pool.inputs[0]].rows == n_rows


def test_the_version_is_the_oldest_that_runs_it():
    def version(n_rows, edge=1):
        made = maker((1, 40, 9, 8))
        padded = made.pad(made.input, ((0, 0), (0, 0), (edge, 0), (0, 0)))
        return int.from_bytes(
            compile_network(finished(made, made.conv(padded, 8, (n_rows, 3), padding=VALID)))[8:12], "little"
        )

    assert [version(16), version(17), version(1, edge=3)] == [3, 4, 4]
    assert GenreClassifier.load().bundle.read("net.eg")[8] == 3


def test_padding_is_folded_and_views_move_nothing():
    made = maker((1, 12, 10, 1))
    image = made.conv(made.pad(made.input, ((0, 0), (1, 1), (2, 2), (0, 0))), 8, (3, 3), (2, 2), VALID, RELU)
    turned = made.transpose(image, (0, 3, 1, 2))
    mean = made.reduce("MEAN", turned, (2, 3))
    program = lower(read_network(made.finish(made.dense(made.reshape(mean, (1, 1, 1, 8)), 3))))
    assert [step.kind for step in program.steps] == [Kind.COPY, Kind.CONV, Kind.MEAN, Kind.CONV]
    assert program.steps[1].padding == (1, 2)
    assert program.steps[0].inputs == (CALLER,)
    assert (program.buffers[0].left, program.buffers[0].has_zero_row) == (2, True)


def test_a_1d_network_reads_the_input_turned_and_repeated():
    made = maker((1, 16, 20, 1))
    turned = made.reshape(made.transpose(made.input, (0, 3, 2, 1)), (1, 1, 20, 16))
    knees = made.depthwise(turned, (1, 1), multiplier=2)
    padded = made.pad(made.transpose(knees, (0, 3, 1, 2)), ((0, 0), (0, 0), (0, 0), (1, 2)))
    image = made.conv(made.transpose(padded, (0, 2, 3, 1)), 8, (1, 4), padding=VALID)
    program = lower(read_network(finished(made, image)))
    assert [step.kind for step in program.steps] == [Kind.COPY, Kind.DEPTHWISE, Kind.CONV, Kind.MEAN, Kind.CONV]
    assert program.steps[0].numbers == (320, 1, 20, 0, 1)
    assert program.steps[2].padding == (0, 1)
    assert (program.buffers[1].left, program.buffers[1].right) == (1, 2)


def test_products_are_added_in_int16_only_where_any_input_fits():
    weights = np.clip(np.random.default_rng(0).normal(0, 40, (16, 2, 4, 32)), -127, 127).astype(np.int8)
    bits = _small_chunks(weights)
    assert bits.shape == (2, 2, 2)
    seen = set()
    groups = ((0, 0, 4), (8, 0, 2), (16, 2, 4))  # bit, outputs: a half, and its first and second two
    for block, row, chunk, quarter, half, group in np.ndindex(2, 2, 2, 4, 2, 3):
        bit, first, end = groups[group]
        outputs, inputs = slice(8 * block + 4 * half + first, 8 * block + 4 * half + end), 16 * chunk + 4 * quarter
        part = weights[outputs, row, :, inputs : inputs + 4].astype(np.int64)
        worst = np.where(part < 0, part * -128, part * 127).sum(axis=1).max()
        worst = max(worst, -np.where(part > 0, part * -128, part * 127).sum(axis=1).min())
        is_small = bool(bits[block, row, chunk] >> (bit + 2 * quarter + half) & 1)
        assert not is_small or worst <= 32767
        assert is_small or worst > 32000
        seen.add(is_small)
    assert seen == {True, False}


def test_expand_depthwise_project_runs_row_by_row():
    made = maker((1, 32, 32, 8))
    wide = made.conv(made.input, 64, (1, 1), activation=RELU)
    mixed = made.depthwise(wide, (3, 3))
    output = made.add(made.conv(mixed, 8, (1, 1)), made.input, NONE)
    program = plan(lower(read_network(finished(made, output))))
    rows = {(program.buffers[s.output].depth, s.kind): program.buffers[s.output].rows for s in program.steps}
    assert rows[64, Kind.CONV] == 3
    assert rows[64, Kind.DEPTHWISE] == 1
    assert program.arena_bytes < 32 * 32 * 64 / 2


@pytest.mark.parametrize(("name", "most_bytes"), [("default", 21_312), ("accurate", 86_816)])
def test_what_ships_is_what_the_compiler_makes(name, most_bytes):
    bundle = read_bundle(find_bundle(name))
    assert bundle.read("net.eg") == compile_network(bundle.read("model_int8.tflite"))
    assert read_header(bundle.read("net.eg")).arena_bytes <= most_bytes


def test_the_shipped_networks_arena_is_small():
    """Of its tensors, each of 16 KiB, four live at once."""
    model = GenreClassifier.load().bundle.read("model_int8.tflite")
    header = read_header(compile_network(model))
    assert header.arena_bytes < 25_000
    assert header.input_shape == (128, 128, 1)
    assert header.output_shape == (1, len(GenreClassifier.load().labels))
