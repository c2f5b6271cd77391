"""The heads in torch and in NumPy: the same answers, and streams of any pieces and length."""

import numpy as np
import pytest
import torch

from edgegenre.heads.modules import build_head
from edgegenre_runtime.errors import BundleError, UsageError
from edgegenre_runtime.network.head import HEADS, Head, HeadConfig, check_head

SIZES = {"mean": (0, 0), "attention": (8, 0), "gru": (8, 0), "transformer": (8, 5)}


def made(kind, seed=0):
    """Return a head of random weights, in torch and in NumPy."""
    width, memory = SIZES[kind]
    config = HeadConfig(kind, 6, 3, width, memory)
    torch.manual_seed(seed)
    module = build_head(config).eval()
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.add_(0.5 * torch.randn_like(tensor))
    return module, Head(config, {name: tensor.numpy() for name, tensor in module.state_dict().items()})


def embeddings(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)


@pytest.mark.parametrize("kind", HEADS)
def test_torch_and_numpy_give_the_same_logits_after_every_window(kind):
    module, head = made(kind)
    given = embeddings(12)
    with torch.no_grad():
        expected = module(torch.from_numpy(given)[None])[0].numpy()
    assert head.run(given) == pytest.approx(expected, abs=1e-5)
    assert np.ptp(expected, axis=0).min() > 0.01


@pytest.mark.parametrize("kind", HEADS)
def test_a_stream_that_is_continued_from_its_state_answers_as_one_that_never_stopped(kind):
    _, head = made(kind)
    given = embeddings(12)
    state = head.initial_state()
    for embedding in given[:7]:
        _, state = head.step(embedding, state)
    copied = {name: np.array(array) for name, array in state.items()}
    rest = []
    for embedding in given[7:]:
        logits, copied = head.step(embedding, copied)
        rest.append(logits)
    assert np.array_equal(np.stack(rest), head.run(given)[7:])


@pytest.mark.parametrize("kind", HEADS)
def test_the_state_keeps_its_size_and_finite_values_over_an_endless_stream(kind):
    _, head = made(kind)
    state = head.initial_state()
    expected = {name: part.shape for name, part in head.config.state.items()}
    for embedding in np.tile(embeddings(50), (40, 1)):
        logits, state = head.step(embedding, state)
    assert {name: array.shape for name, array in state.items()} == expected
    assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in state.values())
    assert np.isfinite(logits).all()


def test_attention_over_a_stream_is_softmax_pooling_over_all_of_its_windows():
    module, head = made("attention")
    given = embeddings(9)
    x = (torch.from_numpy(given) - module.center) * module.scale
    with torch.no_grad():
        scores = torch.tanh(module.key(x)) @ module.query
        pooled = torch.softmax(scores, dim=0) @ x
        expected = module.answer(pooled).numpy()
    assert head.run(given)[-1] == pytest.approx(expected, abs=1e-5)


def test_attention_takes_scores_that_exp_cannot():
    module, _ = made("attention")
    with torch.no_grad():
        module.query.mul_(1e4)
    head = Head(module.config, {name: tensor.numpy() for name, tensor in module.state_dict().items()})
    assert np.isfinite(head.run(embeddings(20))).all()


def test_a_transformer_hears_the_last_windows_alone_and_knows_their_order():
    _, head = made("transformer")
    given, other = embeddings(12), embeddings(12, seed=1)
    other[-5:] = given[-5:]
    assert np.array_equal(head.run(given)[-1], head.run(other)[-1])
    turned = np.concatenate([given[-5:-1][::-1], given[-1:]])
    assert not np.allclose(head.run(turned)[-1], head.run(given)[-1], atol=1e-3)


def test_an_unknown_kind_and_weights_of_another_size_are_refused():
    with pytest.raises(UsageError, match="there are: mean, attention, gru, transformer"):
        check_head("lstm")
    _, head = made("gru")
    weights = {name: np.zeros(shape, np.float32) for name, shape in head.config.weights.items()}
    with pytest.raises(BundleError, match="not those of a gru head"):
        Head(head.config, {**weights, "answer.weight": np.zeros((3, 9), np.float32)})
    with pytest.raises(BundleError, match="not finite"):
        Head(head.config, {**weights, "answer.bias": np.full(3, np.nan, np.float32)})


@pytest.mark.parametrize(
    "change",
    [{"kind": "lstm"}, {"width": 0}, {"width": 6}, {"memory": 3}, {"n_classes": 0}, {"embedding_size": "6"}, {"x": 1}],
)
def test_a_config_with_wrong_values_is_refused(change):
    values = HeadConfig("gru", 6, 3, 8, 0).to_dict()
    assert HeadConfig.from_dict(values) == HeadConfig("gru", 6, 3, 8, 0)
    with pytest.raises(BundleError, match="head"):
        HeadConfig.from_dict({**values, **change})
