"""Images with questions, answers and attention."""

import math

import numpy as np
from matplotlib.figure import Figure

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE, SMALL


@style.styled
def image_answers(image, attention: list, answers: list, right: str | None = None, *, title: str = "") -> Figure:
    """Visual question: a picture, where the model looks at it, and the probabilities of the answers.

    image: (H, W, 3), 0 ... 1, or None if the model sees none. attention: for each block (rows, columns), the attention from
    the last word to each patch, written in per cent. answers: (answer, probability). right: marked among them.

    Errors: ValueError for no answers, or attention that does not divide the picture.
    """
    if not answers:
        raise ValueError("expected at least one answer")
    attention = [np.asarray(each, float) for each in (attention if image is not None else [])]
    for each in attention:
        if each.ndim != 2 or np.shape(image)[0] % each.shape[0] or np.shape(image)[1] % each.shape[1]:
            raise ValueError(f"expected attention in patches that divide a picture of {np.shape(image)}, but got {each.shape}")
    n_pictures = 1 + len(attention)
    ordered = sorted(answers, key=lambda pair: -pair[1])
    side = min(2.6, 8.4 / n_pictures)
    figure = style.sheet(title, style.WIDEST, side + 0.8 + 0.36 * (len(ordered) + 3))
    upper, lower = figure.subfigures(2, 1, height_ratios=[side + 0.6, 0.36 * (len(ordered) + 2)])
    headings = ["what it sees", *(f"where block {i} looks (%)" for i in range(1, n_pictures))]
    for axes, heading, weights in zip(upper.subplots(1, n_pictures, squeeze=False).flat, headings, [None, *attention]):
        axes.set_title(labels.wrapped(heading, side, NOTE), size=NOTE, weight="normal")
        _draw_image(axes, image, weights)
    axes = lower.subplots()
    for place, (name, share) in enumerate(ordered):
        style.bar(axes, place, share, 1 if name == right else 0, "  ◀ right" if name == right else "")
    style.probability_axis(axes, [name for name, _ in ordered], len(ordered), 1.3)
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
                middle = ((column + 0.5) * wide - 0.5, (row + 0.5) * tall - 0.5)
                axes.text(*middle, f"{100 * weight:.0f}", ha="center", va="center", size=SMALL,
                          bbox={"facecolor": "white", "linewidth": 0, "pad": 0.8, "alpha": 0.85})  # fmt: skip


@style.styled
def pictures(images: list, captions: list, *, title: str = "", n_columns: int = 4) -> Figure:
    """Contact sheet: little pictures side by side, each with a line of text beneath it.

    images: (H, W, 3) each, 0 ... 1. Errors: ValueError for no pictures, or another number of captions.
    """
    if not len(images) or len(images) != len(captions):
        raise ValueError(f"expected pictures with a caption each, but got {len(images)} and {len(captions)}")
    n_columns = min(n_columns, len(images))
    n_rows = math.ceil(len(images) / n_columns)
    side = min(2.4, (style.WIDEST - 0.2) / n_columns)
    captions = [labels.wrapped(caption, side - 0.1, NOTE) for caption in captions]
    lines = 1 + max(caption.count("\n") for caption in captions)
    figure = style.sheet(title, side * n_columns + 0.2, (side + 0.1 + 0.23 * lines) * n_rows + 0.4 * bool(title))
    grid = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for axes, image, caption in zip(grid, images, captions):
        _draw_image(axes, image)
        axes.set_xlabel(caption, size=NOTE)
    for axes in grid[len(images) :]:
        axes.set_axis_off()
    return figure
