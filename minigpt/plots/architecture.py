"""Architecture: the stack of a Transformer with its shapes, and how heads are split and joined."""

from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from minigpt.plots import labels, style
from minigpt.plots.labels import NOTE, SMALL
from minigpt.plots.style import INK, PALETTE, ROLES

SIZES = ("n_vocab", "n_layers", "n_heads", "d_model")
BOX = 0.34  # inches, the height of a box in the stack
KINDS = {"attention": ROLES["delim"], "mlp": ROLES["text"], "norm": ROLES["start"], "embed": ROLES["extract"],
         "softmax": ROLES["answer"]}  # fmt: skip


@style.styled
def transformer_stack(config, n_params=None, *, norm: str | None = None, beside=None, title: str = "") -> Figure:
    """Transformer decoder stack, from token ids (bottom) to probabilities (top), with the shape at every arrow.

    config: an object or a dict with n_vocab, n_layers, n_heads, d_model; d_ff (None: 4 d_model), n_ctx and norm if it
    has them. n_params: the number of parameters, written beside. norm: "post" (LayerNorm after the addition, GPT-1) or
    "pre" (before each step, GPT-2); None: as the config says, else "post". beside: a second config or norm, whose stack
    stands to the right; n_params may then be a pair, and both are named post-LN or pre-LN.

    Errors: ValueError for a size that is missing or not a whole number, or a norm that is not "post" or "pre".
    Source: GPT-1, Figure 1, left, and equation 2; GPT-2, section 2.3. Differs: own drawing.
    """
    first = sizes_of(config, norm)
    if beside is None:
        stacks, counts = [first], [n_params]
    else:
        second = first | {"norm": _norm(beside)} if isinstance(beside, str) else sizes_of(beside, None)
        stacks = [first, second]
        counts = list(n_params) if isinstance(n_params, (tuple, list)) else [n_params, n_params]
    tall = max(_height(sizes) for sizes in stacks)
    figure, axes = style.paper(title, style.WIDEST - 0.3 if beside is not None else 8.0, tall)
    for place, (sizes, count) in enumerate(zip(stacks, counts)):
        _draw_stack(axes, sizes, count, 4.45 * place, -tall, len(stacks) == 1)
    return figure


def _norm(norm: str) -> str:
    if norm not in ("post", "pre"):
        raise ValueError(f"norm: expected 'post' or 'pre', but got {norm!r}")
    return norm


def sizes_of(config, norm: str | None) -> dict:
    """The sizes of a config as a dict, checked; norm: overrules what the config says."""
    get = config.get if isinstance(config, dict) else lambda name, other=None: getattr(config, name, other)
    found = {name: get(name) for name in SIZES}
    found["d_ff"] = get("d_ff") or (4 * found["d_model"] if isinstance(found["d_model"], int) else None)
    found["n_ctx"] = get("n_ctx")
    for name, value in found.items():
        if not (isinstance(value, int) and value >= 1) and not (name == "n_ctx" and value is None):
            raise ValueError(f"config.{name}: expected a whole number of at least 1, but got {value!r}")
    if found["d_model"] % found["n_heads"]:
        raise ValueError(f"config.d_model: expected a multiple of n_heads = {found['n_heads']}, got {found['d_model']}")
    return found | {"norm": _norm(norm or get("norm") or "post")}


def _height(sizes: dict) -> float:
    return 6.02 if sizes["norm"] == "pre" else 5.48


def _draw_stack(axes, sizes: dict, n_params, x: float, bottom: float, notes: bool) -> None:
    """One stack whose left edge is at x and whose lower end is at bottom; notes: with sizes to its right."""
    d, V = sizes["d_model"], sizes["n_vocab"]
    pre = sizes["norm"] == "pre"
    times = f"{sizes['n_layers']} ×"
    left, wide = x + 0.5 + labels.text_width(times, labels.TEXT, "bold"), 2.75 if notes else 2.45
    middle, shape = left + wide / 2, f"(T, {d:,})"
    y = bottom + 0.14
    axes.text(middle, y, "token ids   (T)", ha="center", va="center", size=NOTE)
    context = "" if sizes["n_ctx"] is None else f", T ≤ {sizes['n_ctx']:,}"

    def step(text: str, kind: str, gap: float, note: str = "", written: str = "") -> None:
        """An arrow up and a box on it; the shape that goes in is written beside the arrow."""
        nonlocal y
        end = y + gap
        style.arrow(axes, (middle, y + (0.12 if first else 0.0)), (middle, end))
        if written:
            axes.text(middle + 0.1, (y + end) / 2 - 0.01, written, va="center", size=SMALL, color="#333333")
        style.box(axes, left, end + BOX / 2, text, *KINDS[kind], wide, height=BOX)
        if notes and note:
            axes.text(left + wide + 0.45, end + BOX / 2, note, va="center", size=NOTE)
        y = end + BOX

    def add(start: float) -> None:
        """The addition of the residual stream that leaves the middle at height start, on the left of the boxes."""
        nonlocal y
        centre = y + 0.24
        style.arrow(axes, (middle, y), (middle, centre - 0.1))
        axes.add_patch(Circle((middle, centre), 0.1, facecolor="white", edgecolor=INK, linewidth=1.3, zorder=3))
        axes.plot([middle - 0.06, middle + 0.06], [centre] * 2, color=INK, linewidth=1.5, zorder=4)
        axes.plot([middle] * 2, [centre - 0.06, centre + 0.06], color=INK, linewidth=1.5, zorder=4)
        away = left - 0.2
        axes.plot([middle, away, away], [start, start, centre], color=PALETTE[1], linewidth=2.2, zorder=1)
        style.arrow(axes, (away, centre), (middle - 0.1, centre), color=PALETTE[1], linewidth=2.2)
        if notes:
            axes.text(left + wide + 0.45, centre, "add to the residual stream", va="center", size=NOTE,
                      color=labels.darker(PALETTE[1]))  # fmt: skip
        y = centre + 0.1

    first = True
    step("embedding: W_e + W_p", "embed", 0.34, f"W_e: {V:,} × {d:,}, W_p: one vector\nfor each position{context}")
    first = False
    base = y + 0.22
    axes.plot([middle] * 2, [y, base], color=INK, linewidth=1.3)
    axes.text(middle + 0.1, y + 0.11, shape, va="center", size=SMALL, color="#333333")
    y = base
    heads = f"{sizes['n_heads']} heads of {d // sizes['n_heads']} numbers;\nweights (T, T) in each"
    widths = f"{d:,} → {sizes['d_ff']:,} → {d:,}, GELU,\nat each position by itself"
    for name, kind, note in (("masked self-attention", "attention", heads), ("MLP", "mlp", widths)):
        start = y + 0.1
        if pre:
            step("LayerNorm", "norm", 0.24)
            step(name, kind, 0.14, note)
            add(start)
        else:
            step(name, kind, 0.24, note)
            add(start)
            step("LayerNorm", "norm", 0.14)
    top = y + 0.1
    frame = {"boxstyle": "round,pad=0.0,rounding_size=0.1", "fill": False, "edgecolor": "#777777", "linestyle": "--"}
    axes.add_patch(FancyBboxPatch((left - 0.35, base), wide + 0.5, top - base, linewidth=1.4, **frame))
    axes.text(left - 0.45, (base + top) / 2, times, ha="right", va="center", weight="bold")
    axes.plot([middle] * 2, [y, top], color=INK, linewidth=1.3)
    y = top
    if pre:
        step("LayerNorm", "norm", 0.24, written=shape)
    step("output layer: W_eᵀ", "embed", 0.24, f"{d:,} × {V:,}, the same W_e", shape)
    step("softmax", "softmax", 0.24, "probabilities of the next token\nat each of T positions", f"(T, {V:,})")
    words = [] if notes else [f"{sizes['norm']}-LN"]
    words += [] if n_params is None else [f"{n_params:,} parameters"]
    axes.text(middle, y + 0.18, ", ".join(words), weight="bold", ha="center", va="center", size=NOTE)


@style.styled
def split_heads(d_model: int, n_heads: int, *, title: str = "") -> Figure:
    """Multi-head attention at one position: d numbers split into H heads, joined again, and mixed by W_o.

    Errors: ValueError if d_model is not a multiple of n_heads, or one of them is not a whole number above 0.
    Source: Attention Is All You Need, section 3.2.2. Differs: own drawing; W_q, W_k, W_v of all heads are one matrix.
    """
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in (d_model, n_heads))
    if not whole or d_model % n_heads:
        raise ValueError(f"expected d_model to be a multiple of n_heads, both above 0; got {d_model!r}, {n_heads!r}")
    shown = list(range(1, n_heads + 1)) if n_heads <= 8 else [1, 2, 3, 4, 5, 6, None, n_heads]
    left, wide, size = 1.55, 7.1, f"{d_model // n_heads}"
    figure, axes = style.paper(title, style.WIDEST - 0.3, 5.1)
    part, down = wide / len(shown), left + 0.5

    def line(y: float, name: str, split: bool) -> None:
        axes.text(0, y, name, va="center", size=NOTE)
        if not split:
            style.box(axes, left, y, f"{d_model:,} numbers", "white", INK, wide, height=0.38)
            return
        for i, head in enumerate(shown):
            look = {**style.bar_style(i), "hatch": "", "linewidth": 1.5}
            if head is None:
                look["facecolor"] = look["edgecolor"] = "white"
            axes.add_patch(Rectangle((left + i * part, y - 0.19), part, 0.38, **look))
            text = size if head else "..."
            axes.text(left + (i + 0.5) * part, y, text, ha="center", va="center", size=NOTE,
                      bbox={"facecolor": "white", "linewidth": 0, "pad": 1.5})  # fmt: skip

    line(-0.3, "position t", False)
    style.arrow(axes, (down, -0.5), (down, -0.95))
    axes.text(down + 0.15, -0.72, f"times W_q, W_k, W_v   ({d_model:,} × {d_model:,} each)", va="center", size=NOTE)
    line(-1.15, "q, and k, v", True)
    line(-3.35, "joined", True)
    for i, head in enumerate(shown):
        x = left + (i + 0.5) * part
        if head is None:
            axes.text(x, -2.25, "...", ha="center", va="center")
            continue
        style.arrow(axes, (x, -1.35), (x, -1.86))
        box = part - 0.1
        label = f"head {head}" if labels.text_width(f"head {head}", NOTE) < box - 0.14 else f"{head}"
        style.box(axes, x - box / 2, -2.25, label, "white", PALETTE[i % 6], box, height=0.76)
        style.arrow(axes, (x, -2.64), (x, -3.15))
    axes.text(0, -2.25, "each head:\nits own\nweights", va="center", size=NOTE)
    style.arrow(axes, (down, -3.55), (down, -4.0))
    axes.text(down + 0.15, -3.77, f"times W_o   ({d_model:,} × {d_model:,}): mixes the heads", va="center", size=NOTE)
    line(-4.2, "out", False)
    words = f"{d_model:,} = {n_heads} heads × {size} numbers; more heads add no weights, each takes its own part"
    axes.text(0, -4.85, labels.wrapped(words, style.WIDEST - 0.3, NOTE), va="center", size=NOTE)
    return figure
