"""Language: how text becomes tokens, and how continuations branch."""

import math

from matplotlib.figure import Figure

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE, SMALL
from minigpt.plots.style import INK, PALETTE, ROLES

NAMED = 1.5  # inches at the left for the names of lines


@style.styled
def text_to_tokens(words: list, *, title: str = "") -> Figure:
    """How text becomes tokens: words, their characters, the pieces of the tokeniser, and the ids of the pieces.

    words: (word, pieces, ids); the pieces of a word, joined, are the word. A space is shown as ␣.

    Errors: ValueError for no words, pieces that do not join to their word, not one id for each piece, or a text too
    long for one line.
    Source: GPT-1, section 4.1, and GPT-2, section 2.2 (byte-pair encoding). Differs: own drawing.
    """
    for word, pieces, ids in words:
        if not word or "".join(pieces) != word or len(pieces) != len(ids) or not all(pieces):
            raise ValueError(
                f"{word!r}: expected pieces that join to the word, and an id for each; got {pieces}, {ids}"
            )
    letters = sum(len(word) for word, _, _ in words)
    room = style.WIDEST - 0.3 - NAMED
    for cell in (0.3, 0.26, 0.22):
        wide = [[max(cell * len(piece), 0.16 + labels.text_width(f"{i:,}", NOTE)) for piece, i in zip(pieces, ids)]
                for _, pieces, ids in words]  # fmt: skip
        used = sum(map(sum, wide)) + 0.06 * sum(map(len, wide)) + 0.16 * (len(words) - 1)
        if used <= room:
            break
    if not words or used > room:
        raise ValueError(f"expected one to about 30 characters, which fit on one line, but got {letters}")
    n = sum(len(pieces) for _, pieces, _ in words)
    says = f"{letters} characters → {n} tokens → {n} ids: the model sees only the ids"
    figure, axes = style.paper(title, max(NAMED + used, NAMED + labels.text_width(says, NOTE), 4.0), 3.75)
    heights = {"text": -0.3, "characters": -1.2, "tokens": -2.1, "ids": -3.0}
    for name, y in heights.items():
        axes.text(0, y, name, va="center", weight="bold")
    x = NAMED
    for number, ((word, pieces, ids), widths) in enumerate(zip(words, wide)):
        whole = sum(widths) + 0.06 * (len(widths) - 1)
        style.box(axes, x, heights["text"], labels.visible(word), *ROLES["start"], whole)
        axes.plot([x, x + whole], [-0.58, -0.58], color="#888888", linewidth=1)
        for piece, i, width in zip(pieces, ids, widths):
            middle, step = x + width / 2, width / len(piece)
            style.arrow(axes, (middle, -0.58), (middle, -0.97))
            for j, letter in enumerate(piece):
                style.box(axes, x + j * step, heights["characters"], labels.visible(letter), "white", "#888888", step)
            style.arrow(axes, (middle, -1.43), (middle, -1.87))
            role = "text" if number % 2 == 0 else "extract"
            style.box(axes, x, heights["tokens"], labels.visible(piece), *ROLES[role], width)
            style.arrow(axes, (middle, -2.33), (middle, -2.77))
            style.box(axes, x, heights["ids"], f"{i:,}", *ROLES["answer"], width)
            x += width + 0.06
        x += 0.16
    axes.text(NAMED, -3.5, says, va="center", size=NOTE)
    return figure


@style.styled
def continuation_tree(tree: dict, *, start: str = "(beginning)", title: str = "") -> Figure:
    """Tree of continuations: probabilities on the branches; a page is a path, and its probability their product.

    tree: word -> (probability, tree of what may follow), an empty tree where the page ends. What is missing to 1 is
    drawn as one grey branch of other words. Written at the leaves: the product along the path.

    Errors: ValueError for no branches, probabilities outside 0..1 or that add to more than 1, or more than 14 leaves.
    """
    leaves: list = []
    depth = _collect(tree, [], leaves)
    if not leaves or len(leaves) > 14:
        raise ValueError(f"expected a tree of 1 to 14 leaves, but got {len(leaves)}")
    ends = [_product(path) for path in leaves]
    beside = 0.2 + max(labels.text_width(text, NOTE) for text in ends)
    root = style.box_width(_spoken(start))
    boxes = [max([style.box_width(_word(path[k])) for path in leaves if len(path) > k]) for k in range(depth)]
    gap = (style.WIDEST - 0.3 - beside - root - sum(boxes)) / depth
    if gap < 0.7:
        raise ValueError(f"expected a tree that fits on a page, with shorter words or at most {depth - 1} levels")
    gap, step = min(gap, 1.4), min(0.55, 5.3 / len(leaves))
    left = [root + gap + sum(boxes[:k]) + gap * k for k in range(depth)]
    figure, axes = style.paper(title, left[-1] + boxes[-1] + beside, step * len(leaves) + 0.1)
    height = min(0.4, step - 0.06)

    def draw(first: int, last: int, k: int, x: float, parent: float) -> None:
        """The branches that leave (x, parent) for leaves first to last, whose k-th words differ."""
        while first < last:
            edge = leaves[first][k]
            end = first + 1
            while end < last and leaves[end][k] is edge:
                end += 1
            y = -step * (first + end) / 2
            other = edge[0] is None
            colour = "#999999" if other else INK
            axes.plot([x, left[k]], [parent, y], color=colour, linewidth=1 + 3 * edge[1], zorder=1)
            at = 0.6 if len(leaves) < 9 else 0.68
            axes.text(x + at * (left[k] - x), parent + at * (y - parent), f"{edge[1]:.2g}", ha="center", va="center",
                      size=SMALL, bbox={"facecolor": "white", "linewidth": 0, "pad": 0.8}, zorder=2)  # fmt: skip
            face, line = ("white", "#999999") if other else ROLES["text"]
            right = style.box(axes, left[k], y, _word(edge), face, line, style.box_width(_word(edge)), height=height)
            if len(leaves[first]) == k + 1:
                if not other:
                    axes.text(right + 0.12, y, ends[first], va="center", size=NOTE, color=labels.darker(PALETTE[0]))
            else:
                draw(first, end, k + 1, right, y)
            first = end

    middle = -step * len(leaves) / 2
    style.box(axes, 0, middle, _spoken(start), *ROLES["start"], root, height=height)
    draw(0, len(leaves), 0, root, middle)
    return figure


def _collect(tree: dict, path: list, leaves: list) -> int:
    """All paths as lists of (word, probability), None for the rest; returns how deep the tree is."""
    sums = sum(probability for probability, _ in tree.values())
    if any(not 0 <= probability <= 1 for probability, _ in tree.values()) or sums > 1 + 1e-6:
        raise ValueError(f"expected probabilities from 0 to 1 that add to at most 1, but got {tree}")
    deepest = len(path)
    for word, (probability, below) in tree.items():
        edge = (word, probability)
        if below:
            deepest = max(deepest, _collect(below, [*path, edge], leaves))
        else:
            leaves.append([*path, edge])
            deepest = max(deepest, len(path) + 1)
    if tree and sums < 1 - 1e-6:
        leaves.append([*path, (None, 1 - sums)])
    return deepest


def _word(edge: tuple) -> str:
    return "others" if edge[0] is None else _spoken(edge[0])


def _spoken(word: str) -> str:
    """A word, or several, without the space before them; the end of a document in words."""
    return labels.visible(word.strip(" ")).replace("␣", " ") if word else labels.spoken(word)


def _product(path: list) -> str:
    """0.5 × 0.3 = 0.15; nothing for a branch of other words."""
    if path[-1][0] is None:
        return ""
    product = math.prod(probability for _, probability in path)
    return f"{' × '.join(f'{p:.2g}' for _, p in path)} = {product:.3g}" if len(path) > 1 else f"{product:.2g}"
