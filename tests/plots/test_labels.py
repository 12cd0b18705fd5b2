"""Labels keep their order and their distance, and numbers on axes are short."""

import numpy as np
import pytest

from minigpt import plots
from minigpt.plots.labels import spread


@pytest.mark.parametrize("seed", range(20))
def test_spread_keeps_order_and_gaps_and_moves_no_more_than_it_must(seed):
    rng = np.random.default_rng(seed)
    wanted = rng.random(6)
    placed = spread(wanted, 0.1)
    order = np.argsort(wanted)
    assert np.all(np.diff(placed[order]) >= 0.1 - 1e-9) and placed.min() >= 0 and placed.max() <= 1 + 1e-9
    far = np.arange(6) * 0.2
    assert np.allclose(spread(far, 0.1), far)
    scipy = pytest.importorskip("scipy.optimize")
    best = scipy.minimize(
        lambda y: np.sum((y - wanted) ** 2), placed,
        constraints=[{"type": "ineq", "fun": lambda y: np.diff(y[order]) - 0.1}], bounds=[(-9, 9)] * 6,
    )  # fmt: skip
    if best.x.min() >= 0 and best.x.max() <= 1:  # else the frame decides
        assert np.allclose(best.x, placed, atol=1e-4)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (0.25, "0.25"),
        (16, "16"),
        (1024, "1,024"),
        (334_656, "335k"),
        (124_439_808, "124M"),
        (1.75e11, "175B"),
    ],
)
def test_numbers_on_axes_are_short(value, written):
    assert plots.short(value) == written
