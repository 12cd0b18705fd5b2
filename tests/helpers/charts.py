"""Examples of the charts, and the numbers they are drawn from."""

import numpy as np
from gallery import visible_texts
from matplotlib.figure import Figure

from minigpt import plots

SHOTS = np.array([0, 1, 2, 4, 8, 16])
SIZES = np.array([21_000, 65_000, 148_000, 334_000])
STEPS = np.arange(0, 4000, 20)
CEILING = (SHOTS, 0.5 + 0.1 * np.log2(1 + SHOTS))
FAMILIES = ["relation", "language", "number", "symbols", "category"]
MIXTURE = {"Common Crawl": 60, "WebText2": 22, "Books1": 8, "Books2": 8, "Wikipedia": 3}
TRIANGLE = np.tri(24, dtype=bool)
PROMPT = "where do they live?\nthe fox lives in the forest\n\nthe owl lives in the"
ANSWERS = [(" forest", 0.71), (" sea", 0.2), (" mill", 0.09)]
COMPUTE = np.geomspace(1e-10, 1e-8, 30)


def shots(base):
    y = base * (1 + 0.12 * np.log2(1 + SHOTS))
    return SHOTS, y, y - 0.04, y + 0.04


SERIES = {f"d = {d}": shots(base) for d, base in ((16, 0.2), (32, 0.3), (64, 0.45), (96, 0.46))}
LAW = {f"{n // 1000}k": (COMPUTE * n, 0.1 * COMPUTE**-0.1 + n**-0.3) for n in SIZES}

BINS = ([0.3, np.nan, 0.8], [0.2, np.nan, 0.6], [10, 0, 90])
IMAGE = np.linspace(0, 1, 16 * 16 * 3).reshape(16, 16, 3)

FIGURES = {
    "shots": lambda: plots.lines(
        SERIES, x_label="examples, K", y_label="accuracy", title="T", ceiling=CEILING, chance=0.17, log_x=True
    ),
    "sizes": lambda: plots.lines(
        {"a": (SIZES, [0.2, 0.4, 0.6, 0.9]), "b": (SIZES, [0.1, 0.2, 0.22, 0.5])},
        x_label="parameters",
        y_label="accuracy",
        ceiling=0.97,
        chance=0.1,
        references={"majority": 0.3},
        log_x=True,
        y_limits=(0, 1),
    ),
    "bands": lambda: plots.lines(
        {"a": (STEPS, STEPS / 4e3, STEPS / 4e3 - 0.05, STEPS / 4e3 + 0.05), "b": (STEPS, 1 - STEPS / 4e3)},
        x_label="training steps",
        y_label="accuracy",
        bands=True,
    ),
    "both logarithmic": lambda: plots.lines(LAW, x_label="compute", y_label="loss", log_x=True, log_y=True),
    "panels": lambda: plots.small_multiples(
        dict.fromkeys(FAMILIES, SERIES),
        x_label="examples, K",
        y_label="accuracy",
        title="Five families",
        ceilings=dict.fromkeys(FAMILIES, CEILING),
        chances={"relation": 0.2},
        log_x=True,
    ),
    "two panels": lambda: plots.small_multiples(
        {"reading": {"GPT": (SIZES, [0.2, 0.4, 0.6, 0.9])}, "closed book": {"4-gram": (SIZES, [0.1, 0.2, 0.2, 0.3])}},
        x_label="parameters",
        y_label="accuracy",
        ceilings={"reading": 0.97},
        log_x=True,
    ),
    "frontier": lambda: plots.frontier_plot(LAW, ([1e-5, 1e-4], [1.0, 0.8]), (0.4, -0.08), title="T", floor=0.1),
    "shares": lambda: plots.shares({"weights": MIXTURE, "once": {**MIXTURE, "Common Crawl": 410}}, title="T"),
    "masks": lambda: plots.mask_picture(
        {"dense": TRIANGLE, "banded, width 6": TRIANGLE & ~np.tri(24, k=-6, dtype=bool)}, title="T"
    ),
    "large mask": lambda: plots.mask_picture({"dense": np.tri(128)}),
    "prompt": lambda: plots.prompt_answers(PROMPT, ANSWERS, " mill", title="K = 3: 3 examples"),
    "long prompt": lambda: plots.prompt_answers("Examples: " + PROMPT.replace("\n", " ") * 9, ANSWERS, n_lines=6),
    "workers": lambda: plots.data_parallel(3, 2, 4, 128, title="One step"),
    "many workers": lambda: plots.data_parallel(64, 6, 4, 2048),
    "reliability": lambda: plots.reliability({"a": BINS, "b": BINS, "c": BINS}, title="T"),
    "image": lambda: plots.image_answers(IMAGE, [np.full((4, 4), 0.05)] * 2, ANSWERS, " mill", title="T"),
    "no image": lambda: plots.image_answers(None, [], ANSWERS),
    "pictures": lambda: plots.pictures([IMAGE] * 6, ["what colour is the square? red"] * 6, title="T"),
}


def words(figure: Figure) -> set[str]:
    """Every text that can be seen."""
    return {text.get_text() for text in visible_texts(figure)}
