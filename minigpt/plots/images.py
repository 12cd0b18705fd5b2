"""Images with questions, answers and attention."""

import math
import textwrap

import numpy as np
from matplotlib.figure import Figure

from minigpt.plots import style


@style.styled
def image_answers(image, looks: list, answers: list, right: str | None = None, *, title: str = "") -> Figure:
    """Draw a picture, where the model looks at it, and how it divides its belief among the answers.

    image: (H, W, 3), 0 ... 1, or None if the model sees none. looks: for each block (rows, columns), the attention from
    the last word to each patch, written in per cent. answers: (answer, probability). right: marked among them.

    Errors: ValueError for no answers, or looks that do not divide the picture.
    """
    if not answers:
        raise ValueError("expected at least one answer")
    looks = [np.asarray(each, float) for each in (looks if image is not None else [])]
    for each in looks:
        if each.ndim != 2 or np.shape(image)[0] % each.shape[0] or np.shape(image)[1] % each.shape[1]:
            raise ValueError(f"expected looks that divide a picture of {np.shape(image)}, but got {each.shape}")
    figure = Figure(figsize=(11.0, 3.3 + 0.35 * bool(title)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.06)
    n_pictures = 1 + len(looks)
    grid = figure.subplots(1, n_pictures + 1, width_ratios=[*[1] * n_pictures, 1.15])
    headings = ["what it sees", *(f"where block {i} looks (%)" for i in range(1, n_pictures))]
    for axes, heading, weights in zip(grid, headings, [None, *looks]):
        axes.set_title(heading, size=12, weight="normal")
        _draw_image(axes, image, weights)
    ordered = sorted(answers, key=lambda pair: -pair[1])
    for place, (name, share) in enumerate(ordered):
        style.bar(grid[-1], place, share, 1 if name == right else 0, " ◀ right" if name == right else "")
    grid[-1].set_yticks(range(len(ordered)), [name for name, _ in ordered])
    grid[-1].tick_params(axis="y", length=0)
    grid[-1].set(ylim=(len(ordered) - 0.4, -0.6), xlim=(0, 1.45), xlabel="probability")
    grid[-1].set_xticks([0, 0.5, 1])
    figure.suptitle(title, weight="bold", size=13, x=0.01, ha="left") if title else None
    return figure


def _draw_image(axes, image, weights=None) -> None:
    """A picture, or a grey sheet; over it, for each patch, how much of the attention it gets, in per cent."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    if image is None:
        axes.set(facecolor="#e6e6e6", aspect="equal")
        axes.text(0.5, 0.5, "nothing", ha="center", va="center", transform=axes.transAxes)
        return
    image = np.asarray(image, float)
    if weights is not None:  # what it does not look at is washed out
        tall, wide = image.shape[0] // weights.shape[0], image.shape[1] // weights.shape[1]
        strong = np.kron(weights / max(weights.max(), 1e-9), np.ones((tall, wide)))[..., None]
        image = 1 - (0.12 + 0.88 * strong) * (1 - image)
    axes.imshow(image, interpolation="nearest", vmin=0, vmax=1)
    if weights is not None:
        for (row, column), weight in np.ndenumerate(weights):
            if weight >= 0.005:
                axes.text((column + 0.5) * wide - 0.5, (row + 0.5) * tall - 0.5, f"{100 * weight:.0f}", ha="center", va="center",
                          size=10, bbox={"facecolor": "white", "linewidth": 0, "pad": 0.8, "alpha": 0.85})  # fmt: skip


@style.styled
def pictures(images: list, captions: list, *, title: str = "", n_columns: int = 4) -> Figure:
    """Draw little pictures side by side, each with a line of text beneath it.

    images: (H, W, 3) each, 0 ... 1. Errors: ValueError for no pictures, or another number of captions.
    """
    if not len(images) or len(images) != len(captions):
        raise ValueError(f"expected pictures with a caption each, but got {len(images)} and {len(captions)}")
    n_columns = min(n_columns, len(images))
    n_rows = math.ceil(len(images) / n_columns)
    figure = Figure(figsize=(2.6 * n_columns, 2.9 * n_rows + 0.35 * bool(title)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
    grid = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for axes, image, caption in zip(grid, images, captions):
        _draw_image(axes, image)
        axes.set_xlabel("\n".join(textwrap.wrap(caption, 26)), size=11)
    for axes in grid[len(images) :]:
        axes.set_axis_off()
    figure.suptitle(title, weight="bold", size=13, x=0.01, ha="left") if title else None
    return figure
