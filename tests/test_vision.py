"""Patches by hand, a VisionGPT that is its GPT without images, and a proof that it looks."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from minigpt import vision
from minigpt.model import GPT, GPTConfig

CONFIG = GPTConfig(n_vocab=11, n_ctx=6, n_layers=2, n_heads=2, d_model=16, norm="pre", init_std=0.25)


@pytest.fixture
def model():
    generator = torch.Generator().manual_seed(0)
    return vision.VisionGPT(GPT(CONFIG, generator), 4, generator).eval()


def images(B=2, H=8, W=12, seed=0):
    return torch.rand(B, H, W, 3, generator=torch.Generator().manual_seed(seed))


IDS = torch.tensor([[0, 3, 4], [0, 5, 6]])


def test_patches_by_hand():
    image = torch.arange(16.0).view(1, 4, 4, 1)
    assert vision.patches(image, 2)[0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


@pytest.mark.parametrize("size", [1, 2, 4])
def test_patches_are_torchs_unfold(size):
    image = images()
    theirs = F.unfold(image.permute(0, 3, 1, 2), size, stride=size)  # (B, channels size^2, L), channels first
    theirs = theirs.view(2, 3, size * size, -1).permute(0, 3, 2, 1).reshape(2, -1, size * size * 3)
    assert torch.equal(vision.patches(image, size), theirs)


def test_w_image_is_a_convolution_with_a_stride(model):
    """What ViT's code does with a convolution, and its paper with a matrix, is the same."""
    kernel = model.W_image.weight.view(16, 4, 4, 3).permute(0, 3, 1, 2)
    theirs = F.conv2d(images().permute(0, 3, 1, 2), kernel, model.W_image.bias, stride=4).flatten(2).transpose(1, 2)
    assert torch.allclose(model.W_image(vision.patches(images(), 4)), theirs, atol=1e-5)


def test_places_differ_by_row_and_column_only():
    where = vision.places(3, 5, 16).view(3, 5, 16)
    assert torch.equal(where[0, 2, 8:], where[2, 2, 8:])
    assert torch.equal(where[1, 0, :8], where[1, 4, :8])
    assert len({tuple(row) for row in where.view(15, 16).tolist()}) == 15


def test_without_an_image_it_is_the_gpt(model):
    assert torch.allclose(model(None, IDS), model.gpt(IDS), atol=1e-6)


def test_images_in_double_precision_as_numpy_gives_them(model):
    assert torch.allclose(model(images().double(), IDS), model(images(), IDS), atol=1e-5)


def test_with_an_image_alone_it_says_what_comes_first(model):
    assert model(images()).shape == (2, 1, 11)
    assert model(images(), IDS).shape == (2, 3, 11)


@pytest.mark.parametrize("H, W", [(4, 4), (8, 12), (20, 16), (4, 40)])
def test_any_size_that_the_patch_divides(model, H, W):
    assert model(images(2, H, W), IDS).shape == (2, 3, 11)


def test_every_word_sees_every_patch_and_no_later_word(model):
    pixels = images().requires_grad_()
    model(pixels, IDS)[:, 0].sum().backward()  # the first word's scores
    assert (vision.patches(pixels.grad, 4).abs().sum(dim=2) > 0).all()
    changed = IDS.clone()
    changed[:, 2] = 9
    one, two = model(images(), IDS), model(images(), changed)
    assert torch.allclose(one[:, :2], two[:, :2], atol=1e-6)
    assert not torch.allclose(one[:, 2], two[:, 2])


def test_attention_to_the_image_is_the_attention_of_the_last_word(model):
    layers = model.attention_to_image(images(), IDS)
    assert [tuple(layer.shape) for layer in layers] == [(2, 2, 6)] * 2
    for layer in layers:
        assert (layer > 0).all()
        assert (layer.sum(dim=2) < 1).all()


def test_it_can_learn_to_see():
    """Bright or dark, told by one word: chance is a half, and nothing in the text helps."""
    generator = torch.Generator().manual_seed(0)
    model = vision.VisionGPT(GPT(CONFIG, generator), 4, generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    rng = np.random.default_rng(0)
    for step in range(80):
        bright = torch.from_numpy(rng.integers(2, size=32))
        pixels = images(32, 8, 8, seed=step) * 0.4 + 0.3 * bright[:, None, None, None]
        loss = F.cross_entropy(model(pixels, torch.zeros(32, 1, dtype=torch.int64))[:, -1], 1 + bright)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


@pytest.mark.parametrize("call, match", [
    (lambda m: vision.patches(images(1, 9, 8), 4), "multiples of the patch size 4, but they are 9 and 8"),
    (lambda m: vision.patches(images()[0], 4), "shape"),
    (lambda m: vision.patches((images() * 255).long(), 4), "floats"),
    (lambda m: vision.patches(images() * float("nan"), 4), "nan"),
    (lambda m: vision.places(2, 2, 6), "multiple of 4"),
    (lambda m: m(None, None), "got neither"),
    (lambda m: m(images(3), IDS), "3 images and 2 texts"),
    (lambda m: m(images()[..., :1], IDS), "3 channels"),
    (lambda m: m(images(), IDS + 20), "from 0 to n_vocab"),
    (lambda m: vision.VisionGPT(GPT(GPTConfig(n_vocab=5, n_ctx=4, n_layers=1, n_heads=1, d_model=4),
                                    torch.Generator()), 2, torch.Generator()), "norm='pre'"),
])  # fmt: skip
def test_bad_input(model, call, match):
    with pytest.raises(ValueError, match=match):
        call(model)
