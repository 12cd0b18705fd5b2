"""RLHF: the three steps, PPO's four networks, the tilt to the optimal policy, a rollout, a dashboard, rule-based rewards."""

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE, SMALL
from minigpt.plots.style import INK, PALE, PALETTE, ROLES

LINE = 1.3 * NOTE / 72  # inches from one line of small text to the next
STEPS = ("SFT", "reward model", "PPO")
NETWORKS = ("policy", "reference", "reward model", "value")
TRAINED, FROZEN = ("#ffe3b8", "#9c5208"), ("#eeeeee", "#666666")


@style.styled
def rlhf_steps(prompt: str, answer: str, sizes: dict | None = None, *, ranking: str = "D > C > A = B",
               new_prompt: str = "", title: str = "") -> Figure:  # fmt: skip
    """The three steps of RLHF side by side: demonstrations, rankings, reinforcement learning.

    prompt, answer: a request and a demonstration of it. sizes: what to write beneath "SFT", "reward model" and "PPO",
    such as {"SFT": "600 demonstrations"}. ranking: a labeler's order of the answers A, B, ...
    new_prompt: the request of step 3, if it is not that of the others.

    Errors: ValueError for an empty text, or sizes of something else.
    Source: InstructGPT, Figure 2. Differs: own drawing, the reader's own sizes.
    """
    if not all(str(text).strip() for text in (prompt, answer, ranking)):
        raise ValueError(f"expected a prompt, an answer and a ranking; got {prompt!r}, {answer!r}, {ranking!r}")
    written = _known("sizes", sizes, STEPS)
    gap = 0.3
    wide = (style.WIDEST - 0.3 - 2 * gap) / 3
    letters = sorted({letter for letter in ranking if letter.isalpha()})
    columns = (
        ("1  Fine-tuning (SFT)", "SFT", (
            ("text", prompt, "a prompt"), ("answer", answer, "a labeler answers it"),
            ("extract", "SFT model π_SFT", "loss on the answer"))),
        ("2  Reward model", "reward model", (
            ("text", prompt, "a prompt"), ("delim", "   ".join(letters), "π_SFT writes several"),
            ("answer", ranking, "a labeler ranks them"),
            ("extract", "reward model r_θ", "loss on pairs, no ties"))),
        ("3  PPO", "PPO", (
            ("text", new_prompt or prompt, "a new prompt"), ("delim", "answer y", "the policy answers it"),
            ("start", "r_θ(x, y) − β log-ratio", "the reward model scores"),
            ("extract", "policy π_φ", "PPO updates the policy"))),
    )  # fmt: skip
    bodies = [[labels.wrapped(text, wide - 0.2, NOTE) for _, text, _ in parts] for *_, parts in columns]
    tall = [[0.16 + LINE * (1 + text.count("\n")) for text in texts] for texts in bodies]
    below = [labels.wrapped(written[name], wide, NOTE) if written[name] else "" for _, name, _ in columns]
    # a row of a column: a note of one line, then its box
    heights = [sum(each) + len(each) * 0.34 + (len(each) - 1) * 0.12 for each in tall]
    foot = max(LINE * (1 + text.count("\n")) if text else 0.0 for text in below)
    figure, axes = style.paper(title, style.WIDEST - 0.3, 0.45 + max(heights) + 0.3 + foot)
    for place, ((heading, _, parts), texts, boxes, words) in enumerate(zip(columns, bodies, tall, below)):
        x, y, middles = place * (wide + gap), -0.45, []
        axes.text(x, -0.15, heading, va="center", weight="bold")
        spare = (max(heights) - heights[place]) / max(1, len(parts) - 1)
        for i, ((role, _, note), text, high) in enumerate(zip(parts, texts, boxes)):
            if i:
                style.arrow(axes, (x + 0.16, y + 0.12 + spare), (x + 0.16, y - 0.33), linewidth=1.6)
            axes.text(x + 0.35 * (i > 0), y - 0.15, note, va="center", size=NOTE)
            face, edge = ROLES[role]
            axes.add_patch(Rectangle((x, y - 0.34 - high), wide, high, facecolor=face, edgecolor=edge, linewidth=1.4))
            axes.text(x + wide / 2, y - 0.34 - high / 2, text, ha="center", va="center", size=NOTE, linespacing=1.3,
                      color="#111111", weight="bold" if role == "extract" else "normal")  # fmt: skip
            middles.append(y - 0.34 - high / 2)
            y -= 0.34 + high + 0.12 + spare
        if place == 2:  # the loop: the policy that was changed writes the next answer
            right = x + wide + 0.1
            axes.plot([x + wide, right, right], [middles[-1], middles[-1], middles[1]], color=INK, linewidth=1.6)
            style.arrow(axes, (right, middles[1]), (x + wide + 0.005, middles[1]), linewidth=1.6)
        axes.text(x, -0.45 - max(heights) - 0.2, words, va="top", size=NOTE, linespacing=1.3)
    return figure


def _known(name: str, given: dict | None, keys: tuple) -> dict:
    """A text for each key, "" where nothing was given."""
    unknown = sorted(set(given or {}) - set(keys))
    if unknown:
        raise ValueError(f"{name}: expected some of {list(keys)}, but got {unknown}")
    return dict.fromkeys(keys, "") | {key: str(text) for key, text in (given or {}).items()}


@style.styled
def ppo_networks(sizes: dict | None = None, *, title: str = "") -> Figure:
    """PPO's four networks, which of them are trained and which frozen, and what flows from one to the next.

    sizes: what to write in each box under its name, such as {"policy": "146,000 parameters"}; the names are policy,
    reference, reward model and value.

    Errors: ValueError for sizes of something else.
    Source: InstructGPT, section 3.5 and appendix C.4. Differs: own drawing.
    """
    written = _known("sizes", sizes, NETWORKS)
    figure, axes = style.paper(title, style.WIDEST - 0.3, 5.3)
    left, wide, tall = 1.35, 2.35, 0.86
    rows = dict(zip(NETWORKS, (-0.95, -2.0, -3.05, -4.1)))
    first, last = rows["policy"] + tall / 2, rows["value"] - tall / 2
    axes.add_patch(Rectangle((0, last), 0.8, first - last, facecolor=ROLES["text"][0], edgecolor=ROLES["text"][1],
                             linewidth=1.4))  # fmt: skip
    words = "prompts x, and answers y\nthat the policy wrote"
    axes.text(0.4, (first + last) / 2, words, ha="center", va="center", size=NOTE, linespacing=1.4, rotation=90)
    names = {"policy": "policy π_φ", "reference": "reference π_SFT", "reward model": "reward model r_θ",
             "value": "value function V"}  # fmt: skip
    says = {"policy": "log π_φ(y_t)", "reference": "log π_SFT(y_t)", "reward model": "r(x, y), once",
            "value": "V_t"}  # fmt: skip
    mid, right = 5.15, 7.3  # left edges of the two columns of formulas
    for name, y in rows.items():
        trained = name in ("policy", "value")
        face, edge = TRAINED if trained else FROZEN
        axes.add_patch(Rectangle((left, y - tall / 2), wide, tall, facecolor=face, edgecolor=edge,
                                 linewidth=2.4 if trained else 1.6,
                                 linestyle="-" if trained else (0, (4, 3))))  # fmt: skip
        lines = [names[name], written[name], "trained" if trained else "frozen"]
        lines = [line for line in lines if line]
        for i, line in enumerate(lines):
            axes.text(left + wide / 2, y + 0.25 * ((len(lines) - 1) / 2 - i), line, ha="center", va="center",
                      size=NOTE if i == 0 else SMALL, weight="bold" if i == 0 else "normal")  # fmt: skip
        style.arrow(axes, (0.8, y), (left - 0.01, y))
        axes.text(left + wide + 0.08, y + 0.15, says[name], va="center", size=SMALL)
        style.arrow(axes, (left + wide, y), ((right if name == "value" else mid) - 0.01, y))
    face, edge = ROLES["answer"]
    low, high = rows["reward model"] - tall / 2, rows["policy"] + tall / 2
    axes.add_patch(Rectangle((mid, low), 1.8, high - low, facecolor=face, edgecolor=edge, linewidth=1.4))
    formula = "reward of\neach token\n\nR_t =\n−β (log π_φ\n − log π_SFT)\n\n+ r(x, y) at the\nlast token"
    axes.text(mid + 0.9, (low + high) / 2, formula, ha="center", va="center", size=NOTE, linespacing=1.3)
    face, edge = ROLES["extract"]
    axes.add_patch(Rectangle((right, last), 1.4, first - last, facecolor=face, edgecolor=edge, linewidth=1.4))
    words = "GAE\n\nadvantages\nA_t\n\nand\n\nA_t + V_t,\nwhat V_t\nshould\nhave been"
    axes.text(right + 0.7, (first + last) / 2, words, ha="center", va="center", size=NOTE, linespacing=1.3)
    style.arrow(axes, (mid + 1.8, (low + high) / 2), (right - 0.01, (low + high) / 2))
    for name, edge_y, out, words in (("policy", first, 0.32, "clipped policy loss, with A_t"),
                                     ("value", last, -0.32, "value loss, with A_t + V_t")):  # fmt: skip
        x = left + wide / 2
        axes.plot([right + 0.7, right + 0.7, x], [edge_y, edge_y + out, edge_y + out], color=TRAINED[1], linewidth=2.4)
        style.arrow(axes, (x, edge_y + out), (x, edge_y), color=TRAINED[1], linewidth=2.4)
        axes.text((mid + right) / 2 - 0.3, edge_y + out + 0.17 * np.sign(out), words, ha="center", va="center",
                  size=NOTE, color=TRAINED[1], weight="bold")  # fmt: skip
    return figure


@style.styled
def tilt_bars(
    names: list, p_sft, p_star, rewards=None, *, n: int = 10, shown=None, limit: float | None = None,
    names_of: tuple = ("π_SFT", "π*"), title: str = "",
) -> Figure:  # fmt: skip
    """Exponential tilting as bars: the probability of each answer before and after, the rest of them together.

    p_sft, p_star: the probabilities of all answers; names: each answer as text; rewards: one number for each, written
    beside its name. n: how many answers have bars of their own: the likeliest under either policy. shown: their places
    in the lists instead, so that they stay where they are while beta moves. limit: the end of the axis; longer bars
    are cut there, with their numbers.

    Errors: ValueError if the lists differ in length, do not add up to 1, or if n or shown does not fit them.
    """
    p_sft, p_star = (np.asarray(p, float) for p in (p_sft, p_star))
    if not len(names) == len(p_sft) == len(p_star) or rewards is not None and len(rewards) != len(names):
        lengths = len(names), len(p_sft), len(p_star), None if rewards is None else len(rewards)
        raise ValueError(f"expected a name, two probabilities and a reward for each answer; got {lengths}")
    for name, p in zip(names_of, (p_sft, p_star)):
        if p.ndim != 1 or not (p >= 0).all() or abs(p.sum() - 1) > 1e-6:
            raise ValueError(f"{name}: expected probabilities that add to 1; got {p[:3]} ...")
    if shown is None:
        if not 1 <= n <= 12:
            raise ValueError(f"n: expected 1 to 12 answers, but got {n!r}")
        shown = np.argsort(-np.maximum(p_sft, p_star), kind="stable")[:n]
        shown = sorted(shown, key=lambda i: -p_star[i])
    shown = [int(i) for i in shown]
    if not 1 <= len(shown) <= 12 or len(set(shown)) < len(shown) or not set(shown) <= set(range(len(names))):
        raise ValueError(f"shown: expected 1 to 12 different places below {len(names)}, but got {shown}")
    rest = len(names) - len(shown)
    n_rows = len(shown) + (rest > 0)
    figure, axes = style.canvas(title, "probability", "", (style.WIDEST, 1.3 + 0.37 * n_rows))
    ticks, beyond = [], {}
    for place in range(n_rows):
        own = place < len(shown)
        for j, p in enumerate((p_sft, p_star)):
            value = p[shown[place]] if own else max(0.0, 1 - p[shown].sum())
            axes.barh(place + 0.2 * (2 * j - 1), value, 0.38, linewidth=1.4, **style.bar_style(1 - j))
            beyond[place] = beyond.get(place, []) + ([f"{value:.2f}"] if limit is not None and value > limit else [])
        if own:
            r = "" if rewards is None else f"   r = {rewards[shown[place]]:+.1f}".replace("-", "−")
            ticks.append(str(names[shown[place]]) + r)
        else:
            ticks.append(f"{rest} other answers" if rest > 1 else "1 other answer")
    axes.set_yticks(range(n_rows), ticks, size=NOTE)
    axes.tick_params(axis="y", length=0)
    longest = max(p_sft[shown].max(), p_star[shown].max(), *(1 - p[shown].sum() for p in (p_sft, p_star)))
    axes.set(ylim=(n_rows - 0.4, -0.6), xlim=(0, min(1.0, 1.06 * longest) if limit is None else limit))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    for place, numbers in beyond.items():
        if numbers:  # bars that are cut at the limit
            axes.text(0.97 * limit, place, " and ".join(numbers) + " →", ha="right", va="center", size=SMALL,
                      bbox={"facecolor": "white", "linewidth": 0, "pad": 2})  # fmt: skip
    handles = [Rectangle((0, 0), 1, 1, **style.bar_style(1 - j)) for j in range(2)]
    labels.legend(figure, handles, list(names_of))
    return figure


@style.styled
def rollout_timeline(tokens: list, rows: dict, *, plain: tuple = ("log π", "V_t"), title: str = "") -> Figure:
    """A rollout as a timeline: the tokens of an answer in order, and beneath each the numbers of PPO.

    rows: name -> one number for each token, such as log π, R_t, V_t, δ_t and A_t, from top to bottom. Numbers above 0
    are on orange, below 0 on blue, darker the larger they are in their row; rows whose names begin with one of `plain`
    have no colour, as their sign is always the same or says nothing. What does not fit into the width is left out
    before the last token, and "..." says so.

    Errors: ValueError for no tokens or rows, more than 10 rows, or a row that is not as long as the tokens.
    """
    numbers = {name: np.asarray(values, float) for name, values in rows.items()}
    if not len(tokens) or not 1 <= len(numbers) <= 10:
        raise ValueError(f"expected at least one token and 1 to 10 rows, but got {len(tokens)} and {len(numbers)}")
    for name, values in numbers.items():
        if values.shape != (len(tokens),) or not np.isfinite(values).all():
            raise ValueError(f"{name!r}: expected {len(tokens)} finite numbers, but got {values.tolist()}")
    pieces = [labels.spoken(token) for token in tokens]
    left = max(labels.text_width(line, NOTE, "bold") for name in numbers for line in name.split("\n")) + 0.25
    wide = [max(0.66, style.box_width(piece)) for piece in pieces]
    room = style.WIDEST - 0.3 - left
    shown: list = list(range(len(pieces)))
    while sum(0.4 if i is None else wide[i] + 0.06 for i in shown) > room and len(shown) > 2:
        kept = [i for i in shown[:-1] if i is not None][:-1]
        shown = [*kept, None, len(pieces) - 1]
    used = sum(0.4 if i is None else wide[i] + 0.06 for i in shown)
    space = min(room, max(used, 1.0 * len(tokens)))  # by the number of tokens: what a policy wrote changes no size
    n_columns = len(shown) - shown.count(None)
    wide = [each + max(0.0, space - used) / n_columns for each in wide]
    tall = {name: 0.36 + 0.22 * name.count("\n") for name in numbers}
    figure, axes = style.paper(title, max(4.5, left + space), 0.72 + sum(tall.values()))
    axes.text(0, -0.26, "token", va="center", weight="bold", size=NOTE)
    x, columns = left, []
    for i in shown:
        columns.append((i, x))
        if i is None:
            axes.text(x + 0.17, -0.26, "...", ha="center", va="center")
            x += 0.4
            continue
        style.box(axes, x, -0.26, pieces[i], *ROLES["text"], wide[i], height=0.4)
        if columns[:-1]:
            style.arrow(axes, (x - 0.06, -0.26), (x, -0.26), linewidth=1.0, mutation_scale=7)
        x += wide[i] + 0.06
    top = -0.56
    for name, values in numbers.items():
        middle = top - tall[name] / 2
        axes.text(0, middle, name, va="center", size=NOTE, weight="bold", linespacing=1.2)
        most = max(1e-9, np.abs(values).max())
        for i, at in columns:
            if i is None:
                continue
            share = 0.0 if name.startswith(plain) else 0.6 * abs(values[i]) / most
            face = to_rgba(PALETTE[1] if values[i] > 0 else PALETTE[0], share)
            axes.add_patch(Rectangle((at, middle - 0.15), wide[i], 0.3, facecolor=face, edgecolor="#bbbbbb", lw=0.8))
            ink = "white" if values[i] < 0 and share > 0.35 else "#111111"
            axes.text(at + wide[i] / 2, middle, _signed(values[i]), ha="center", va="center", size=NOTE, color=ink)
        top -= tall[name]
    return figure


def _signed(value: float) -> str:
    return "0" if abs(value) < 0.005 else f"{value:.2f}".replace("-", "−")


PANELS = {"kl": "KL (nats per answer)", "reward": "reward (mean score)", "length": "length (tokens)",
          "clip_fraction": "clip fraction", "entropy": "entropy (nats per token)",
          "explained_variance": "explained variance"}  # fmt: skip


@style.styled
def dashboard(run: dict, healthy: dict | None = None, *, panels: dict = PANELS, name: str = "this run",
              title: str = "") -> Figure:  # fmt: skip
    """Training curves of a PPO run in small panels, over iterations, with the band of healthy runs behind them.

    run: quantity -> one number for each iteration. healthy: quantity -> (n_runs, iterations), drawn as the band from
    the least to the largest, and their mean. panels: quantity -> heading, 1 to 9 of them.

    Errors: ValueError for a quantity of panels that is missing, or rows that do not fit each other.
    """
    if not 1 <= len(panels) <= 9:
        raise ValueError(f"panels: expected 1 to 9, but got {len(panels)}")
    for what, given in (("run", run), ("healthy", healthy)):
        if given is not None and (missing := [key for key in panels if key not in given]):
            raise ValueError(f"{what}: expected {list(panels)}, but {missing} are missing")
    drawn = {key: np.asarray(run[key], float) for key in panels}
    bands = {} if healthy is None else {key: np.atleast_2d(np.asarray(healthy[key], float)) for key in panels}
    n = len(next(iter(drawn.values())))
    if n < 2 or any(values.shape != (n,) for values in drawn.values()):
        raise ValueError(f"run: expected as many numbers for each panel; got {[v.shape for v in drawn.values()]}")
    if any(rows.ndim != 2 for rows in bands.values()):
        shapes = [rows.shape for rows in bands.values()]
        raise ValueError(f"healthy: expected (n_runs, iterations) for each panel; got {shapes}")
    columns = min(3, len(panels))
    figure = style.sheet(title, style.WIDEST, 0.75 + 1.75 * -(-len(panels) // columns))
    grid = figure.subplots(-(-len(panels) // columns), columns, squeeze=False).ravel()
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    for place, (axes, (key, heading)) in enumerate(zip(grid, panels.items())):
        axes.set_title(heading, loc="left", size=NOTE)
        if key in bands:
            low, high, mean = bands[key].min(0), bands[key].max(0), bands[key].mean(0)
            x = np.arange(1, len(low) + 1)
            axes.fill_between(x, low, high, color="#cccccc", linewidth=0)
            axes.plot(x, mean, color="#666666", linewidth=1.4, linestyle=(0, (4, 2)))
        finite = np.isfinite(drawn[key])
        axes.plot(np.arange(1, n + 1)[finite], drawn[key][finite], color=PALETTE[1], linewidth=2.2)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.tick_params(labelsize=SMALL)
        if place + columns >= len(panels):
            axes.set_xlabel("iteration", size=NOTE)
    handles = [Rectangle((0, 0), 1, 1, facecolor=PALETTE[1], edgecolor=PALETTE[1])]
    names = [name]
    if bands:
        runs = len(next(iter(bands.values())))
        handles.append(Rectangle((0, 0), 1, 1, facecolor="#cccccc", edgecolor="#666666"))
        names.append(f"{runs} healthy runs" if runs > 1 else "a healthy run")
    labels.legend(figure, handles, names)
    return figure


@style.styled
def rule_flow(rewards: dict, *, title: str = "") -> Figure:
    """What a rule-based reward model sees and gives: request, answer and rubric in, a class out, and its reward.

    rewards: request -> {class: reward, or None where the class cannot occur}, the same classes for each request; at most
    4 classes and 3 requests.

    Errors: ValueError for no rewards, other classes for one request, or too many of them.
    Source: GPT-4 report, section 6 ("rule-based reward models"). Differs: own drawing.
    """
    requests = list(rewards)
    classes = list(rewards[requests[0]]) if requests else []
    if not 1 <= len(requests) <= 3 or not 1 <= len(classes) <= 4 or any(list(r) != classes for r in rewards.values()):
        raise ValueError(f"expected 1 to 3 requests with the same 1 to 4 classes; got {rewards}")
    wide = style.WIDEST - 0.3
    figure, axes = style.paper(title, wide, 1.75 + 0.48 * (1 + len(classes)))
    left = 1.75
    for y, text, role in ((-0.3, "request x", "text"), (-0.85, "answer y", "delim"), (-1.4, "written rubric", "start")):
        style.box(axes, 0, y, text, *ROLES[role], left)
        style.arrow(axes, (left, y), (left + 0.44, -0.85 + 0.3 * (y + 0.85)))
    middle = left + 0.45
    face, edge = ROLES["extract"]
    axes.add_patch(Rectangle((middle, -1.3), 1.75, 0.9, facecolor=face, edgecolor=edge, linewidth=1.4))
    axes.text(
        middle + 0.875, -0.85, "a classifier\nreads all three", ha="center", va="center", size=NOTE, linespacing=1.3
    )
    style.arrow(axes, (middle + 1.75, -0.85), (middle + 2.15, -0.85))
    style.box(axes, middle + 2.16, -0.85, "a class", *ROLES["answer"], 1.05)
    style.arrow(axes, (middle + 3.21, -0.85), (middle + 3.6, -0.85))
    words = "its reward, added to\nthe reward model's\nscore, for PPO"
    axes.add_patch(Rectangle((middle + 3.61, -1.4), wide - middle - 3.61, 1.1, facecolor=ROLES["text"][0],
                             edgecolor=ROLES["text"][1], linewidth=1.4))  # fmt: skip
    axes.text((middle + 3.61 + wide) / 2, -0.85, words, ha="center", va="center", size=NOTE, linespacing=1.3)
    first, step = 3.6, (wide - 3.6) / len(requests)
    y = -2.0
    axes.text(0, y, "class", va="center", size=NOTE, weight="bold")
    for i, request in enumerate(requests):
        axes.text(first + (i + 0.5) * step, y, request, ha="center", va="center", size=NOTE, weight="bold")
    for row, name in enumerate(classes):
        y -= 0.46
        axes.plot([0, wide], [y + 0.23] * 2, color=PALE, linewidth=1)
        axes.text(0, y, name, va="center", size=NOTE)
        for i, request in enumerate(requests):
            value = rewards[request][name]
            if value is None:  # this class cannot come up
                continue
            kind = "#1a885d" if value > 0 else "#b3261e" if value < 0 else "#555555"
            text = f"{value:+g}".replace("-", "−") if value else "0"
            axes.text(
                first + (i + 0.5) * step, y, text, ha="center", va="center", size=labels.TEXT, color=kind, weight="bold"
            )
    return figure
