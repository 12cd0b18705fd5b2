"""Information: what a belief costs, scores on a ruler, words before a mistake, n-gram models above the floor."""

import numpy as np
from matplotlib.figure import Figure

from minigpt.plots import curves, labels, style
from minigpt.plots.labels import GUESS, NOTE, TEXT, guessed
from minigpt.plots.style import FLOOR_DASH, INK, PALETTE


def mark_guess(axes, guess, place: float = 0.97, words: str = "") -> None:
    """The reader's guess as an upright grey line, with its number (and words) at `place` of the height.

    A guess far outside the axis does not squeeze the figure: an arrow at the edge points to it.
    """
    value = guessed(guess)
    if value is None:
        return
    low, high = axes.get_xlim()
    if not low - 0.5 * (high - low) <= value <= high + 0.5 * (high - low):
        above, height = value > high, "top" if place > 0.5 else "bottom"
        arrow = (f"your guess {value:g} ▶", 1, "right") if above else (f"◀ your guess {value:g}", 0, "left")
        axes.plot([], [], **GUESS)
        axes.annotate(arrow[0], (arrow[1], place), xycoords="axes fraction", ha=arrow[2], va=height, size=NOTE,
                      color="#555555", zorder=6, bbox={"facecolor": "white", "linewidth": 0, "pad": 1.0})  # fmt: skip
        return
    axes.axvline(value, **GUESS)
    axes.set_xlim(min(low, value - 0.02 * (high - low)), max(high, value + 0.02 * (high - low)))
    low, high = axes.get_xlim()
    left = value > low + 0.6 * (high - low)
    axes.annotate(
        f"your guess {value:g}{words}", (value, place), (-5 if left else 5, 0), xycoords=("data", "axes fraction"),
        textcoords="offset points", ha="right" if left else "left", va="top" if place > 0.5 else "bottom", size=NOTE,
        color="#555555", zorder=6, bbox={"facecolor": "white", "linewidth": 0, "pad": 1.0},
    )  # fmt: skip


@style.styled
def cost_of_belief(p: float, q: float | None = None, *, guess=..., title: str = "") -> Figure:
    """Cross-entropy of a coin: what it costs on average to give heads the probability q when p is true.

        H(p, q) = - p log q - (1 - p) log (1 - q),   lowest at q = p, where it is H(p)

    q: a belief to mark, with KL(p || q) as the upright distance from its cost down to H(p). guess: the reader's own q,
    a grey line. Unit: nats a throw.

    Errors: ValueError for p or q that are not between 0 and 1.
    """
    if not 0 < p < 1 or q is not None and not 0 < q < 1:
        raise ValueError(f"expected probabilities between 0 and 1, both left out; got p = {p}, q = {q}")

    def cost(belief):
        return -p * np.log(belief) - (1 - p) * np.log(1 - belief)

    figure, axes = style.canvas(title, "q, the probability that you give to heads", "mean surprisal (nats a throw)")
    x, least = np.linspace(0.01, 0.99, 393), float(cost(p))
    axes.plot(x, cost(x), color=PALETTE[0])
    axes.axhline(least, color="#000000", linestyle=FLOOR_DASH, linewidth=2)
    axes.fill_between(x, least, cost(x), facecolor="#e3e3f6", linewidth=0, zorder=0)
    axes.set(xlim=(0, 1), ylim=(0, 2.4))
    axes.plot([p, p], [0, least], color="#000000", linestyle=":", linewidth=1.6)
    axes.plot(p, least, marker="o", color="#000000", markersize=8, zorder=4)
    axes.annotate(f"q = p = {p:g}", (p, 0.05), (6, 0), textcoords="offset points", va="bottom", size=NOTE)
    if q is not None:
        axes.plot([q, q], [least, cost(q)], color=PALETTE[1], linewidth=3, solid_capstyle="butt", clip_on=False)
        axes.plot(q, min(cost(q), 2.4), marker="o", color=PALETTE[1], markersize=11, zorder=5, clip_on=False)
        left = q < p  # of the truth the curve falls to the right: above the dot, that side is free
        look = {"textcoords": "offset points", "va": "bottom", "ha": "left" if left else "right", "weight": "bold"}
        top = (q, min(cost(q), 2.2))
        text = f"KL = {cost(q) - least:.2f}"
        axes.annotate(text, top, (8 if left else -8, 6), color=labels.darker(PALETTE[1]), **look)
    else:
        axes.annotate("KL", (0.17, 0.5 * (least + cost(0.17))), ha="center", va="center", weight="bold")
    value = guessed(guess)
    if value is not None and 0 < value < 1:
        top = float(min(cost(value), 2.4))
        axes.plot([value, value], [least, top], color=GUESS["color"], linewidth=4, solid_capstyle="butt")
        mark_guess(axes, guess, words=f", KL = {cost(value) - least:.2f}")
    else:
        mark_guess(axes, guess)
    labels.label_ends(axes, [(least, f"H(p) = {least:.2f}", "#000000"), (cost(0.9), "H(p, q)", PALETTE[0])])
    return figure


@style.styled
def ruler(marks: dict, *, guess=..., title: str = "", x_label: str = "nats per token") -> Figure:
    """Scores on a ruler: from a reader who knows everything, over models, to one who knows nothing.

    marks: name -> score. The smallest is drawn as the floor, with hatching where no model can be on average.

    Errors: ValueError for fewer than two marks, or one that is negative.
    """
    if len(marks) < 2 or min(marks.values()) < 0:
        raise ValueError(f"expected two or more scores of at least 0, but got {marks}")
    ordered = sorted(marks.items(), key=lambda pair: pair[1])
    figure, axes = style.canvas(title, x_label, "", (9.0, 1.9 + 0.4 * len(ordered)))
    lowest = ordered[0][1]
    axes.axvspan(0, lowest, facecolor="#f2f2f2", edgecolor="#c4c4c4", hatch="//", linewidth=0, zorder=0)
    axes.axvline(lowest, color="#000000", linestyle=FLOOR_DASH, linewidth=2)
    axes.set(xlim=(0, ordered[-1][1] * 1.02), ylim=(len(ordered) - 0.3, -0.9))
    for place, (name, score) in enumerate(ordered):
        look = {"color": "#000000" if place == 0 else PALETTE[(place - 1) % 6]}
        axes.plot([0, score], [place, place], linewidth=1.2, linestyle=":", **look)
        axes.plot(score, place, marker="D" if place == 0 else "o", markersize=9, clip_on=False, **look)
        left = score > 0.55 * ordered[-1][1]
        axes.annotate(f"{name}: {score:.2f}", (score, place), (-10 if left else 10, 0), textcoords="offset points",
                      va="center", ha="right" if left else "left", size=TEXT,
                      bbox={"facecolor": "white", "linewidth": 0, "pad": 1.0})  # fmt: skip
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    mark_guess(axes, guess)
    return figure


@style.styled
def strips(series: dict, *, x_label: str, guess=..., title: str = "", right: float | None = None) -> Figure:
    """Strip plot: every single value as a dot, a row for each name, and the mean as an upright stroke with its number.

    series: name -> values, whole numbers; equal values are piled up. guess: the reader's own mean, a grey line. right:
    where the axis ends; larger values are counted there in words.

    Errors: ValueError for no names, or a name without values.
    """
    if not series or any(len(values) == 0 for values in series.values()):
        raise ValueError("expected at least one name, and values for each")
    figure, axes = style.canvas(title, x_label, "", (9.0, 1.7 + 0.95 * len(series)))
    right = float(right or max(max(values) for values in series.values()) + 1)
    most = max(np.unique(np.minimum(v, right), return_counts=True)[1].max() for v in series.values())
    for place, (name, values) in enumerate(series.items()):
        values = np.sort(np.asarray(values, float))
        inside = values[values <= right]
        pile = np.arange(len(inside)) - np.searchsorted(inside, inside)  # 0, 1, 2 ... for equal values
        bottom = place + 0.32
        look = {"markerfacecolor": "white", "markeredgecolor": PALETTE[place % 6], "markeredgewidth": 1.4, "zorder": 4}
        height = bottom - 0.48 * pile / max(4, most - 1)  # the piles stay below the number of the mean
        axes.plot(inside, height, linestyle="none", marker="o", markersize=6.5, **look)
        mean = values.mean()
        axes.plot([mean, mean], [place - 0.45, place + 0.42], color=INK, linewidth=3, solid_capstyle="butt", zorder=2)
        axes.annotate(f"mean {mean:.1f}", (mean, place - 0.34), (6, 0), textcoords="offset points", va="center",
                      size=NOTE, zorder=5, bbox={"facecolor": "white", "linewidth": 0, "pad": 1.0})  # fmt: skip
        if beyond := int(np.sum(values > right)):
            axes.annotate(f"{beyond} beyond ▶", (right, place), ha="right", va="center", size=NOTE)
    axes.set_yticks(range(len(series)), list(series), size=TEXT)
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(len(series) - 0.4, -0.6), xlim=(0, right))
    mark_guess(axes, guess, 0.03)
    return figure


@style.styled
def above_floor(losses: dict, floor: float, *, guess=..., title: str = "", x_label: str = "pages read",
                y_label: str = "loss (nats per token)") -> Figure:  # fmt: skip
    """Loss against the size of the text that was read, above the floor, with the last ratio to it beside each name.

    losses: name -> (sizes, losses). guess: the reader's own ratio of the best last loss to the floor, a grey line.

    Errors: as `loss_curve`; ValueError for a floor that is not above 0.
    """
    if floor <= 0:
        raise ValueError(f"expected a floor above 0, but got {floor}")
    figure, axes = style.canvas(title, x_label, y_label, (9.0, 5.4))
    ends = [(floor, f"floor {floor:.2f}", "#000000")]
    for i, (name, (x, y)) in enumerate(losses.items()):
        x, y, *_ = curves.rows(name, (x, y))
        axes.plot(x, y, clip_on=False, **style.line(i))
        ends.append((y[-1], f"{name}: {y[-1]:.2f}\n= {y[-1] / floor:.2f} × floor", PALETTE[i % 6]))
    axes.set_xscale("log", base=2)
    sizes = sorted({float(size) for x, _ in losses.values() for size in x})
    axes.set_xticks(sizes, [labels.short(size) for size in sizes])
    axes.minorticks_off()
    axes.set_xlim(sizes[0], sizes[-1])
    axes.margins(y=0.06)
    style.draw_floor(axes, floor, floor)
    if (value := guessed(guess)) is not None:
        axes.axhline(value * floor, **GUESS)
        ends.append((value * floor, f"your guess {value:g} × floor", GUESS["color"]))
    labels.label_ends(axes, ends)
    return figure
