"""Images as tokens: patches and words in one sequence with its mask, and occlusion maps."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE, SMALL
from minigpt.plots.style import INK, PALE, PALETTE, ROLES

_BLUES = LinearSegmentedColormap.from_list("blues", ["#ffffff", PALETTE[0]])


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
