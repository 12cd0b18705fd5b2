"""The exponents that follow from Zipf's law, against counting and against long lists."""

import numpy as np
import pytest

from minigpt.chinchilla import JointLaw
from minigpt.exact import zipf


def frequencies(s: float, n: int) -> np.ndarray:
    p = np.arange(1, n + 1) ** -s
    return p / p.sum()


def slope(x, y) -> float:
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def test_the_masses_are_those_of_drawn_lists():
    p, rng = frequencies(1.5, 30), np.random.default_rng(0)
    order = rng.permutation(30)
    drawn = rng.choice(30, size=(20_000, 13), p=p[order])
    new = [len(set(row[:-1]) | {row[-1]}) > len(set(row[:-1])) for row in drawn]
    assert np.mean(new) == pytest.approx(float(zipf.unread(p[order], 12)), abs=0.012)
    assert np.isin(drawn, np.argsort(-p[order])[4:]).mean() == pytest.approx(float(zipf.beyond(p[order], 4)), abs=0.006)


@pytest.mark.slow
@pytest.mark.parametrize("s", [1.4, 1.6, 2.0, 2.5])
def test_the_exponents_are_the_slopes_of_a_very_long_list(s):
    p, found = frequencies(s, 4_000_000), zipf.exponents(s)
    K, n = np.geomspace(30, 300, 5).astype(int), np.geomspace(1e3, 1e4, 5)
    room = 0.03 if s > 1.5 else 0.06  # the list ends
    assert slope(K, zipf.beyond(p, K)) == pytest.approx(-found.alpha, rel=room)
    assert slope(n, zipf.unread(p, n)) == pytest.approx(-found.beta, rel=room)


@pytest.mark.parametrize("s", [1.3, 1.6, 2.0])
def test_best_size_and_loss_follow_from_the_two_exponents(s):
    found = zipf.exponents(s)
    law, C = JointLaw(0.0, 3.0, 7.0, found.alpha, found.beta), np.geomspace(1e8, 1e14, 4)
    best = [law.optimum(c) for c in C]
    assert slope(C, [N for N, _ in best]) == pytest.approx(found.a)
    assert slope(C, [law(N, D) for N, D in best]) == pytest.approx(found.b)


def test_what_is_no_list_of_probabilities_is_refused():
    for p in ([0.5, 0.6], [], [[1.0]], [1.5, -0.5]):
        with pytest.raises(ValueError, match="probabilities that add to 1"):
            zipf.unread(p, 3)
    with pytest.raises(ValueError, match="at least 0; got -1"):
        zipf.beyond([1.0], -1)
    with pytest.raises(ValueError, match="at least 0; got -2"):
        zipf.unread([1.0], -2)
    with pytest.raises(ValueError, match="above 1; got 1.0"):
        zipf.exponents(1.0)
