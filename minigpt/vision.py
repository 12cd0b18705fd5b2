"""Image patches as tokens (ViT), and a GPT that takes images and text.

The GPT-4 report does not say how its images are read; this is the usual way, after ViT.
"""

import torch
from torch import Tensor, nn

from minigpt.model import GPT, draw_normal, sinusoids


def patches(images: Tensor, size: int) -> Tensor:
    """Patches of images: cut into squares, each flattened to one row of numbers; row by row, as one reads.

    Shapes: images (B, H, W, channels), H and W divisible by size -> (B, H W / size^2, size^2 channels).
    Errors: ValueError for another number of axes, for sizes that do not divide, or for a pixel that is not a number.
    Source: Dosovitskiy et al. 2021, section 3.1. Differs: nothing.
    """
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(
            f"images must be floats of shape (B, H, W, channels), but they are {images.dtype} of {tuple(images.shape)}"
        )
    B, H, W, channels = images.shape
    if size < 1 or H % size or W % size or not H or not W:
        raise ValueError(f"height and width must be multiples of the patch size {size}, but they are {H} and {W}")
    if not images.isfinite().all():
        raise ValueError("each pixel must be a finite number, but there is a nan or an infinity")
    cut = images.view(B, H // size, size, W // size, size, channels)
    return cut.permute(0, 1, 3, 2, 4, 5).reshape(B, (H // size) * (W // size), size * size * channels)


def places(n_rows: int, n_columns: int, d_model: int) -> Tensor:
    """Two-dimensional sinusoidal position encodings: half the row, half the column.

    As `model.sinusoids`, for rows and columns; so any size of image has places.
    Shapes: result (n_rows n_columns, d_model). Errors: ValueError unless d_model divides by 4.
    """
    if d_model % 4:
        raise ValueError(f"d_model must be a multiple of 4 for rows and columns, but it is {d_model}")
    rows, columns = (sinusoids(n, d_model // 2) for n in (n_rows, n_columns))
    both = torch.cat([
        rows[:, None].expand(-1, n_columns, -1), columns[None].expand(n_rows, -1, -1)
    ], dim=2)  # fmt: skip
    return both.reshape(n_rows * n_columns, d_model)


class VisionGPT(nn.Module):
    """Vision-language model: a GPT that takes an image before the text, patches first, then words, in the same blocks.

        h_0 = [patches W_image + places ; U W_e + W_p],   h_l = block(h_{l-1}),   P(u) = softmax(h_n W_e^T)

    Image and text are both optional: with text alone it is the GPT that it was made from; with an image alone it says
    which token would come first. Each word sees all patches; a patch sees the patches before it.

    Shapes: images (B, H, W, channels) or None, ids (B, T) or None; result (B, T, V), or (B, 1, V) without text, on the
    device of the ids (of the images without text).
    Errors: ValueError if neither comes, if they do not belong together, or as `patches` and GPT.
    Source: ViT, section 3.1, for the patches; the GPT-4 report says no more than that images go in and text comes out.
    """

    def __init__(self, gpt: GPT, patch: int, generator: torch.Generator, channels: int = 3):
        super().__init__()
        if gpt.config.norm != "pre" or not gpt.config.causal:
            came = f"norm={gpt.config.norm!r} and causal={gpt.config.causal}"
            raise ValueError(f"VisionGPT needs a causal GPT with norm='pre', but this one has {came}")
        self.gpt, self.patch, self.channels = gpt, patch, channels
        self.W_image = nn.Linear(patch * patch * channels, gpt.config.d_model, device=gpt.W_e.weight.device)
        draw_normal(self.W_image.weight, (patch * patch * channels) ** -0.5, generator)
        with torch.no_grad():
            self.W_image.bias.zero_()

    def start(self, images: Tensor | None, ids: Tensor | None) -> Tensor:
        """h_0: what goes into the first block. Shapes: result (B, patches + T, d_model), where the model is."""
        if images is None and ids is None:
            raise ValueError("expected images, text, or both; got neither")
        parts = []
        if images is not None:
            images = self.gpt.here(images)
            if images.ndim == 4 and images.shape[-1] != self.channels:
                raise ValueError(f"images must have {self.channels} channels, but they have {images.shape[-1]}")
            cut = patches(images, self.patch)
            rows, columns = images.shape[1] // self.patch, images.shape[2] // self.patch
            cut = cut.to(self.W_image.weight.dtype)  # numpy gives float64
            where = places(rows, columns, self.gpt.config.d_model).to(cut)
            parts.append(self.W_image(cut) + 4 * self.gpt.config.init_std * where)  # 2 learns it late, 8 less
        if ids is not None:
            if images is not None and len(images) != len(ids):
                raise ValueError(f"each image needs its text, but there are {len(images)} images and {len(ids)} texts")
            self.gpt.check_inputs(ids)
            ids = self.gpt.here(ids)
            parts.append(self.gpt.embed(ids))
        return self.gpt.drop(torch.cat(parts, dim=1))

    def forward(self, images: Tensor | None = None, ids: Tensor | None = None) -> Tensor:
        h = self.start(images, ids)
        for block in self.gpt.blocks:
            h = block(h)
        n_text = 1 if ids is None else ids.shape[1]
        return self.gpt.logits(self.gpt.ln_f(h[:, -n_text:])).to((images if ids is None else ids).device)

    @torch.no_grad()
    def attention_to_image(self, images: Tensor, ids: Tensor) -> list[Tensor]:
        """Attention weights of the last word on each patch. Shapes: n_layers tensors (B, H, patches), where ids are."""
        h, found = self.start(images, ids), []
        n_patches = h.shape[1] - ids.shape[1]
        for block in self.gpt.blocks:
            found.append(block.attn(block.ln_1(h), return_weights=True)[1][:, :, -1, :n_patches].to(ids.device))
            h = block(h)
        return found
