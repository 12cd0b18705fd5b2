"""The stack and the heads: sizes and shapes come from the configuration, the order from the norm."""

from types import SimpleNamespace

import pytest
from gallery import SIZES, words

from minigpt import plots

STEPS = ("embedding: W_e + W_p", "masked self-attention", "MLP", "LayerNorm", "output layer: W_eᵀ", "softmax")


def order(figure) -> list[str]:
    """The boxes from bottom to top."""
    boxes = [text for text in figure.axes[0].texts if text.get_text() in STEPS]
    return [text.get_text() for text in sorted(boxes, key=lambda text: text.get_position()[1])]


def test_post_ln_normalises_after_each_addition_and_pre_ln_before_each_step():
    first, attention, mlp, norm, output, softmax = STEPS
    assert order(plots.transformer_stack(SIZES)) == [first, attention, norm, mlp, norm, output, softmax]
    assert order(plots.transformer_stack(SIZES, norm="pre")) == [
        first, norm, attention, norm, mlp, norm, output, softmax,
    ]  # fmt: skip
    assert order(plots.transformer_stack(SIZES | {"norm": "pre"})) == order(plots.transformer_stack(SIZES, norm="pre"))


def test_sizes_and_shapes_are_the_configurations():
    figure = plots.transformer_stack(SIZES | {"d_ff": 200}, 123_456, title="Ours")
    said = words(figure)
    assert {"2 ×", "(T, 96)", "(T, 1,024)", "96 × 1,024, the same W_e", "123,456 parameters", "Ours"} <= set(said)
    assert any("6 heads of 16" in word for word in said) and any("96 → 200 → 96" in word for word in said)
    assert any("W_e: 1,024 × 96" in word and "T ≤ 256" in word for word in said)
    assert any("96 → 384 → 96" in word for word in words(plots.transformer_stack(SIZES)))


def test_an_object_or_a_dict_gives_the_same_words():
    assert words(plots.transformer_stack(SimpleNamespace(**SIZES))) == words(plots.transformer_stack(SIZES))


def test_two_stacks_beside_each_other():
    said = words(plots.transformer_stack(SIZES, (1000, 2000), beside=SIZES | {"n_layers": 4, "norm": "pre"}))
    assert {"post-LN, 1,000 parameters", "pre-LN, 2,000 parameters", "2 ×", "4 ×"} <= set(said) and said.count(
        "LayerNorm"
    ) == 5
    assert "pre-LN, 1,000 parameters" in words(plots.transformer_stack(SIZES, 1000, beside="pre"))
    assert {"post-LN", "pre-LN"} <= set(words(plots.transformer_stack(SIZES, beside="pre")))


def test_each_residual_stream_leaves_before_its_step_and_comes_back_after_it():
    for norm in ("post", "pre"):
        axes = plots.transformer_stack(SIZES, norm=norm).axes[0]
        streams = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 3]
        for stream, step in zip(streams, ("masked self-attention", "MLP"), strict=True):
            (height,) = [text.get_position()[1] for text in axes.texts if text.get_text() == step]
            assert stream[0] < height < stream[-1]
            norms = [text.get_position()[1] for text in axes.texts if text.get_text() == "LayerNorm"]
            between = [place for place in norms if stream[0] < place < stream[-1]]
            assert len(between) == (norm == "pre")


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ({}, {}, "config.n_vocab: expected a whole number"),
        (SIZES | {"n_layers": 0}, {}, "config.n_layers"),
        (SIZES | {"d_model": 100}, {}, "a multiple of n_heads = 6"),
        (SIZES, {"norm": "none"}, "'post' or 'pre', but got 'none'"),
        (SIZES, {"beside": "none"}, "'post' or 'pre', but got 'none'"),
        (SIZES, {"beside": {}}, "config.n_vocab"),
    ],
)
def test_bad_configurations_are_named(config, options, message):
    with pytest.raises(ValueError, match=message):
        plots.transformer_stack(config, **options)


def test_heads_share_the_numbers_and_are_joined_again():
    said = words(plots.split_heads(96, 6, title="Six heads"))
    assert said.count("16") == 12 and said.count("96 numbers") == 2 and "Six heads" in said
    assert {f"head {i}" for i in range(1, 7)} <= set(said) and any("W_o" in word for word in said)
    many = words(plots.split_heads(768, 12))
    assert many.count("64") == 14 and many.count("...") == 3


@pytest.mark.parametrize("sizes", [(96, 5), (0, 1), (96, 0), (9.0, 3)])
def test_heads_that_do_not_divide_are_refused(sizes):
    with pytest.raises(ValueError, match="a multiple of n_heads"):
        plots.split_heads(*sizes)
