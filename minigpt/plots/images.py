"""Images: with questions, answers and attention, as tokens with their mask, and occlusion maps."""

import math

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE, SMALL
from minigpt.plots.style import INK, PALE, PALETTE, ROLES

_BLUES = LinearSegmentedColormap.from_list("blues", ["#ffffff", PALETTE[0]])


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


@style.styled
def image_and_words(image, patch: int, words: list, answer: str = "", *, title: str = "") -> Figure:
    """A picture cut into patches, and the words of a question, as one sequence of tokens; and its causal mask.

    image: (H, W, 3), 0 ... 1; patch: pixels of a side; words: the question's tokens, at most 9. answer: what comes after
    the last one.

    Errors: ValueError for an image that the patches do not divide, more than 16 patches, or no words.
    Source: after ViT (Dosovitskiy et al. 2021), Figure 1. Differs: own drawing; words follow the patches, and the mask
    is causal.
    """
    image = np.asarray(image, float)
    if image.ndim != 3 or patch < 1 or image.shape[0] % patch or image.shape[1] % patch:
        raise ValueError(f"expected a picture (H, W, 3) that patches of {patch} divide; got {image.shape}")
    rows, columns = image.shape[0] // patch, image.shape[1] // patch
    if rows * columns > 16 or not 1 <= len(words) <= 9:
        raise ValueError(f"expected at most 16 patches and 1 to 9 words; got {rows * columns} and {len(words)}")
    n, wide = rows * columns, style.WIDEST - 0.3
    figure, axes = style.paper(title, wide, 5.6)
    side = 1.75
    _picture(axes, image, 0.0, -0.3, side)
    for i in range(1, columns):
        axes.plot([i * side / columns] * 2, [-0.3, -0.3 - side], color="white", linewidth=2, zorder=4)
    for i in range(1, rows):
        axes.plot([0, side], [-0.3 - i * side / rows] * 2, color="white", linewidth=2, zorder=4)
    axes.text(0, -0.13, f"{image.shape[0]} × {image.shape[1]} pixels", va="center", size=NOTE)
    left, room = side + 0.45, wide - side - 0.45
    step = room / n
    axes.text(left, -0.13, f"1. cut into {n} patches of {patch} × {patch} × 3 = {3 * patch * patch} numbers",
              va="center", size=NOTE)  # fmt: skip
    for i in range(n):
        row, column = divmod(i, columns)
        part = image[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch]
        _picture(axes, part, left + i * step, -0.35, 0.84 * step)
        style.arrow(axes, (left + (i + 0.42) * step, -0.4 - 0.84 * step), (left + (i + 0.42) * step, -1.12))
    axes.text(left, -1.27, "2. each becomes a token: times W_image, plus where it was", va="center", size=NOTE)
    axes.text(left, -1.72, "3. the words follow, as always: W_e + W_p", va="center", size=NOTE)
    _token_line(axes, n, words, answer, left, wide, -2.1)
    _mask(axes, n, words, 0.35, -5.55)
    return figure


def _picture(axes, image, x: float, top: float, side: float) -> None:
    """A picture whose upper left corner is at (x, top); the limits of the axes stay."""
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(image, extent=(x, x + side, top - side, top), interpolation="nearest", vmin=0, vmax=1, aspect="auto")
    axes.set(xlim=limits[0], ylim=limits[1])


def _token_line(axes, n: int, words: list, answer: str, left: float, wide: float, y: float) -> None:
    """The sequence: a box for the patches, one for each word, the blocks beneath, and the answer."""
    face, edge = ROLES["extract"]
    patches = 1.15
    style.box(axes, left, y, f"{n} patches", face, edge, patches)
    space = wide - left - patches
    lengths = [0.14 + labels.text_width(word, SMALL) for word in words]
    shrink = min(1.0, (space - 0.04 * len(words)) / sum(lengths))
    x, face_edge = left + patches, ROLES["text"]
    for word, length in zip(words, lengths):
        x = style.box(axes, x + 0.04, y, word, *face_edge, length * shrink, size=SMALL)
    face, edge = ROLES["start"]
    end = left + patches + space
    axes.add_patch(Rectangle((left, y - 0.98), end - left, 0.44, facecolor=face, edgecolor=edge, linewidth=1.3))
    axes.text((left + end) / 2, y - 0.76, "4. the same blocks as in chapters 01 to 04, with a causal mask", ha="center",
              va="center", size=NOTE)  # fmt: skip
    middle = x - lengths[-1] * shrink / 2
    for place in (left + patches / 2, middle):
        style.arrow(axes, (place, y - 0.24), (place, y - 0.53))
    if answer:
        style.arrow(axes, (middle, y - 0.99), (middle, y - 1.3))
        face, edge = ROLES["answer"]
        length = style.box_width(answer) + 0.1
        style.box(axes, min(middle - length / 2, end - length), y - 1.53, answer, face, edge, length, weight="bold")


def _mask(axes, n: int, words: list, x: float, bottom: float) -> None:
    """The causal mask of n patches and the words: filled where a position (a line) may look."""
    total = n + len(words)
    side = 2.3
    step, top = side / total, bottom + side
    for i in range(total):
        for j in range(i + 1):
            kind = PALETTE[2] if j < n else PALETTE[0]
            axes.add_patch(Rectangle((x + j * step, top - (i + 1) * step), step * 0.9, step * 0.9, facecolor=kind,
                                     alpha=0.35 if i < n else 0.9, linewidth=0))  # fmt: skip
    axes.add_patch(Rectangle((x, bottom), side, side, fill=False, edgecolor=INK, linewidth=1.2))
    axes.plot([x + n * step] * 2, [bottom, top], color=INK, linewidth=1.2)
    axes.plot([x, x + side], [top - n * step] * 2, color=INK, linewidth=1.2)
    middle = n * step / 2
    axes.text(x - 0.08, top - middle, "patches", rotation=90, ha="right", va="center", size=SMALL)
    axes.text(x - 0.08, (top - n * step + bottom) / 2, "words", rotation=90, ha="right", va="center", size=SMALL)
    says = ("The mask: one line for each token, filled where it looks.",
            "A patch sees the patches before it (pale green).",
            "A word sees all patches (green), and words before it (blue).",
            "Nothing else is new.")  # fmt: skip
    y = bottom + 1.0
    for words_of in says:
        for line in labels.wrapped(words_of, style.WIDEST - 0.3 - x - side - 0.3, NOTE).split("\n"):
            axes.text(x + side + 0.3, y, line, va="center", size=NOTE)
            y -= 0.27


@style.styled
def occlusion_maps(images: list, changes: list, captions: list, *, title: str = "",
                   label: str = "drop of log P(answer), nats") -> Figure:  # fmt: skip
    """Occlusion maps: pictures, and beneath each, for every patch, how much the answer lost when it was covered.

    images: (H, W, 3) each, 0 ... 1. changes: (rows, columns) each, log P(answer) with the whole picture less that with
    the patch covered; at most 5. captions: the question and the answer.

    Errors: ValueError for no pictures, other numbers of maps or captions, or maps that do not divide the pictures.
    Source: Zeiler and Fergus 2014, section 4.2 ("occlusion sensitivity"). Differs: a patch is covered, not a window.
    """
    images, changes = [np.asarray(each, float) for each in images], [np.asarray(each, float) for each in changes]
    if not 1 <= len(images) <= 5 or not len(images) == len(changes) == len(captions):
        raise ValueError(
            f"expected 1 to 5 pictures with a map and a caption each; got {len(images)}, {len(changes)}, {len(captions)}"
        )
    for image, change in zip(images, changes):
        if change.ndim != 2 or image.shape[0] % change.shape[0] or image.shape[1] % change.shape[1]:
            raise ValueError(f"expected maps that divide a picture of {image.shape}; got {change.shape}")
    side = min(2.1, 7.4 / len(images))
    captions = [labels.wrapped(caption, side - 0.1, NOTE) for caption in captions]
    lines = 1 + max(caption.count("\n") for caption in captions)
    figure = style.sheet(title, min(style.WIDEST, side * len(images) + 1.4), 2 * side + 0.3 * lines + 0.55)
    upper, lower = figure.subplots(2, len(images), squeeze=False)
    most = max(0.1, max(np.abs(change).max() for change in changes))
    shown = None
    for axes, below, image, change, caption in zip(upper, lower, images, changes, captions):
        axes.imshow(image, interpolation="nearest", vmin=0, vmax=1)
        axes.set_title(caption, size=NOTE, weight="normal")
        shown = below.imshow(change.clip(0), cmap=_BLUES, vmin=0, vmax=most)
        for (row, column), value in np.ndenumerate(change):
            dark = value > 0.55 * most
            text = f"{value:.1f}".replace("-0.0", "0.0").replace("-", "−")
            below.text(column, row, text, ha="center", va="center", size=SMALL, color="white" if dark else INK)
        for each in (axes, below):
            each.set(xticks=[], yticks=[])
            each.spines[:].set_visible(True)
            each.spines[:].set_color(PALE if each is axes else INK)
    bar = figure.colorbar(shown, ax=list(lower), shrink=0.9, aspect=14)
    bar.set_label(labels.wrapped(label, 0.85 * side, SMALL), size=SMALL)
    return figure
