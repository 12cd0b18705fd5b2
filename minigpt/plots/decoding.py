"""Decoding: next-token probabilities at several temperatures, the cuts of top-k and top-p, quality and diversity."""

import math

import numpy as np
from matplotlib.figure import Figure

from minigpt.plots import labels, panels, style
from minigpt.plots.bars import name_groups
from minigpt.plots.labels import NOTE
from minigpt.plots.style import FLOOR_DASH, INK, PALETTE


@style.styled
def temperature_bars(
    names: list, probabilities: dict, truth=None, *, n: int = 6, guess=..., title: str = "", truth_label: str = "truth"
) -> Figure:
    """Next-token probabilities of one place at several settings: groups of bars over the n likeliest tokens.

    names: of all V tokens. probabilities: setting, such as "T = 0.5" -> (V,), at most 4. truth: (V,), black marks
    across the groups. The rest of the tokens are together in a last group. The likeliest are those of the mean.
    guess: the reader's number, a grey line.

    Errors: ValueError for no settings or more than 4, or probabilities that are not V numbers that add to 1.
    """
    V = len(names)
    drawn = {name: _distribution(name, values, V) for name, values in probabilities.items()}
    truth = None if truth is None else _distribution(truth_label, truth, V)
    if not 1 <= len(drawn) <= 4 or n < 1:
        raise ValueError(f"expected 1 to 4 settings and n of at least 1, but got {len(drawn)} and n = {n}")
    order = np.argsort(-np.mean(list(drawn.values()), axis=0), kind="stable")[:n]
    rest = np.setdiff1d(np.arange(V), order)
    groups = [labels.spoken(names[i]) for i in order] + ([f"{len(rest):,} others"] if len(rest) else [])
    figure, axes = style.canvas(title, "", "probability", (9.0, 4.4))
    width = 0.8 / len(drawn)

    def heights(values: np.ndarray) -> np.ndarray:
        return np.append(values[order], values[rest].sum()) if len(rest) else values[order]

    for i, (name, values) in enumerate(drawn.items()):
        x = np.arange(len(groups)) + width * (i - (len(drawn) - 1) / 2)
        axes.bar(x, heights(values), 0.92 * width, linewidth=1.5, label=name, **style.bar_style(i))
    if truth is not None:
        for place, value in enumerate(heights(truth)):
            axes.plot([place - 0.44, place + 0.44], [value, value], color="#000000", linewidth=3, zorder=4,
                      solid_capstyle="butt", label=truth_label if place == 0 else None)  # fmt: skip
    name_groups(axes, groups, 7.6 / len(groups))
    axes.margins(y=0.08)
    axes.set_ylim(bottom=0)
    if (value := labels.guessed(guess)) is not None:
        axes.axhline(value, label=f"your guess {value:g}", **labels.GUESS)
    handles, said = axes.get_legend_handles_labels()
    ordered = sorted(range(len(said)), key=lambda i: said[i] not in drawn)
    labels.legend(figure, [handles[i] for i in ordered], [said[i] for i in ordered])
    return figure


def _distribution(name: str, values, V: int) -> np.ndarray:
    values = np.asarray(values, float)
    if values.shape != (V,) or not V or not (values >= 0).all() or abs(values.sum() - 1) > 1e-3:
        raise ValueError(
            f"{name!r}: expected {V} probabilities that add to 1, but got {values.shape}, {values.sum():.3f}"
        )
    return values


@style.styled
def nucleus(
    names: list, probabilities, *, top_p: float | None = 0.9, top_k: int | None = None, n: int = 10, title: str = ""
) -> Figure:
    """Nucleus (top-p) and top-k: tokens from the likeliest on, their cumulative probability, and where they are cut.

    names: of all V tokens. probabilities: (V,). top_p: the likeliest tokens are kept until they hold at least so much.
    top_k: so many are kept; None: no such cut. With both, a token stays if both keep it: first top_k, then top_p
    of what is left, as in `sample.next_probs`. n: so many tokens are drawn, at
    most 13.

    Errors: ValueError for probabilities that do not add to 1, top_p outside 0..1, or top_k below 1.
    Source: Holtzman et al. 2020, section 3.1. Differs: own drawing.
    """
    V = len(names)
    values = _distribution("probabilities", probabilities, V)
    if top_p is not None and not 0 < top_p <= 1 or top_k is not None and not (isinstance(top_k, int) and top_k >= 1):
        raise ValueError(f"expected top_p above 0 and at most 1, and top_k of at least 1, but got {top_p!r}, {top_k!r}")
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    left = np.where(np.arange(V) < (top_k or V), ordered, 0.0)
    left /= left.sum()
    before = np.cumsum(left) - left
    kept = int(((left > 0) & (before < (1 if top_p is None else top_p) - 1e-12)).sum())
    shown = min(V, max(n, 3), 13)
    sums = np.cumsum(ordered)
    figure, axes = style.canvas(title, "probability", "", (9.0, 1.9 + 0.32 * shown))
    y = np.arange(shown)
    for kind, chosen, name in ((0, y < kept, f"kept: {kept:,} of {V:,}"), (1, y >= kept, "cut")):
        axes.barh(y[chosen], ordered[:shown][chosen], 0.72, linewidth=1.5, label=name, **style.bar_style(kind))
    axes.plot(sums[:shown], y, color=INK, marker="o", markersize=7, linewidth=2, label="cumulative", zorder=3)
    if kept < shown:
        axes.axhspan(-0.6, kept - 0.5, facecolor=PALETTE[0], alpha=0.07, zorder=0)
    if top_p is not None:
        level, name = top_p * ordered[: top_k or V].sum(), f"top-p {top_p:g}"  # of what top-k leaves
        axes.axvline(level, color="#000000", linestyle=FLOOR_DASH, linewidth=1.8, label=name)
    if top_k is not None and top_k <= shown:
        axes.axhline(top_k - 0.5, color="#000000", linestyle=":", linewidth=2, label=f"top-k {top_k}")
    axes.set(xlim=(0, 1.03), ylim=(shown - 0.4, -0.6))
    axes.set_yticks(y, [labels.spoken(names[i]) for i in order[:shown]], size=labels.TEXT)
    axes.tick_params(axis="y", length=0)
    labels.legend(figure, *axes.get_legend_handles_labels())
    return figure


@style.styled
def quality_diversity(
    points: dict,
    truth: tuple | None = None,
    *,
    kinds: dict | None = None,
    x_label: str = "diversity",
    y_label: str = "share of flawless texts",
    truth_label: str = "truth",
    limits: tuple | None = None,
    title: str = "",
) -> Figure:
    """Quality against diversity: one mark for every way of decoding, each with its name; the truth is a star.

    points: name -> (diversity, quality); each a number, or one for each seed, then small dots around the mean.
    truth: (diversity, quality) of the language itself, with thin lines to both axes. kinds: name -> kind, at most 6,
    such as "temperature": a colour and a marker each. limits: ((low, high), (low, high)) of the two axes.

    Errors: ValueError for no points, values that are not finite, not as many of both, or kinds of unknown points.
    """
    drawn = {name: tuple(np.asarray(values, float).reshape(-1) for values in pair) for name, pair in points.items()}
    wrong = [name for name, pair in drawn.items() if not _is_pair(pair)]
    kinds = {name: "" for name in points} if kinds is None else kinds
    families = list(dict.fromkeys(kinds[name] for name in points if name in kinds))
    if not drawn or wrong or set(kinds) != set(points) or len(families) > 6:
        raise ValueError(f"expected points (diversity, quality), a kind for each and at most 6 kinds; wrong: {wrong}; "
                         f"kinds: {kinds}")  # fmt: skip
    star = [] if truth is None else [tuple(map(float, truth))]
    every = np.concatenate([np.stack(pair, axis=1) for pair in drawn.values()] + [np.reshape(star, (-1, 2))])
    low, high = every.min(0), every.max(0)
    side = np.where(high > low, 0.12 * (high - low), np.maximum(0.1 * np.abs(high), 0.05))
    low, high = (low - side, high + side) if limits is None else np.array(limits, float).T
    rows = panels.legend_rows(families, style.WIDEST - 0.3) if any(families) else []
    head = 0.12 + (0.3 * (1 + labels.wrapped(title, 8.7, labels.TITLE, "bold").count("\n")) if title else 0.0)
    foot, wide, tall = 0.75 + 0.3 * len(rows), style.WIDEST - 1.15, 4.3
    figure = Figure(figsize=(style.WIDEST, head + foot + tall))
    labels.set_title(figure, title)
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0.95 / width, foot / height, wide / width, tall / height))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel=x_label, ylabel=y_label)
    axes.yaxis.set_label_coords(-0.7 / wide, 0.5)
    axes.xaxis.set_label_coords(0.5, -0.38 / tall)
    scale = np.array([wide, tall]) / (high - low)
    names, means, colours = list(drawn), [], []
    for name, (x, y) in drawn.items():
        i = families.index(kinds[name])
        if len(x) > 1:
            axes.plot(x, y, linestyle="none", marker="o", markersize=4.5, markerfacecolor="white",
                      markeredgecolor=PALETTE[i], zorder=2)  # fmt: skip
        axes.plot([x.mean()], [y.mean()], linestyle="none", marker=style.MARKERS[i], markersize=10, color=PALETTE[i],
                  zorder=3, markeredgecolor="white")  # fmt: skip
        means.append((x.mean(), y.mean()))
        colours.append(PALETTE[i])
    if star:
        axes.plot(*star[0], linestyle="none", marker="*", markersize=20, color="#000000", zorder=3)
        for draw, at in ((axes.axvline, star[0][0]), (axes.axhline, star[0][1])):
            draw(at, color="#000000", linestyle=":", linewidth=1.2, zorder=1)
        names, means, colours = [*names, truth_label], [*means, star[0]], [*colours, "#000000"]
    spots = (every - low) * scale
    taken = [(x - 0.05, y - 0.05, x + 0.05, y + 0.05) for x, y in spots]
    taken += [(x - 0.09, y - 0.09, x + 0.09, y + 0.09) for x, y in (np.array(means) - low) * scale]
    for x, y in (np.reshape(star, (-1, 2)) - low) * scale:  # no name across the star's lines
        taken += [(x - 0.015, 0.0, x + 0.015, tall), (0.0, y - 0.015, wide, y + 0.015)]
    for name, mean, colour in zip(names, means, colours):
        x, y = (np.array(mean) - low) * scale
        place = labels.free_place((x, y), name, NOTE, taken, (wide, tall), (0.13, 0.3, 0.5, 0.75, 1.0, 1.3))
        if place is None:
            raise ValueError(f"expected fewer points, or shorter names: {name!r} has no place")
        (cx, cy), (dx, dy) = place
        if math.hypot(dx, dy) > 0.2:
            axes.plot([mean[0], mean[0] + dx / scale[0]], [mean[1], mean[1] + dy / scale[1]], color="#777777",
                      linewidth=1, zorder=1.5)  # fmt: skip
        axes.text(cx / scale[0] + low[0], cy / scale[1] + low[1], name, ha="center", va="center", size=NOTE,
                  color=labels.darker(colour))  # fmt: skip
    if rows:
        panels.draw_rows(figure, rows, families, lines=False)
    return figure


def _is_pair(pair: tuple) -> bool:
    return len(pair) == 2 and pair[0].shape == pair[1].shape and len(pair[0]) > 0 and bool(np.isfinite(pair).all())
