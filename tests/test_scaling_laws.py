"""The fits of chapter 05, held against scipy, against laws that are known because we made the data, and by hand."""

import numpy as np
import pytest
from scipy import optimize

from minigpt import chinchilla, scaling_laws
from minigpt.chinchilla import JointLaw
from minigpt.scaling_laws import FloorLaw

HOFFMANN = JointLaw(1.6934, 406.4, 410.7, 0.3392, 0.2849)  # unrounded
BESIROGLU = JointLaw(1.8172, 482.01, 2085.43, 0.3478, 0.3658)
ERRORS = JointLaw(0.03, 124.58, 1293.23, 0.02, 0.02)  # as printed by Besiroglu et al.
COMPUTE = np.repeat(np.geomspace(1e9, 4e10, 6), 4)


def noisy(law, compute, spread, seed):
    return law(compute) * (1 + spread * np.random.default_rng(seed).normal(size=len(compute)))


@pytest.mark.parametrize("law", [FloorLaw(60.0, -0.2, 1.98), FloorLaw(5e4, -0.6, 1.2), FloorLaw(8.0, -0.05, 0.3)])
def test_a_law_without_noise_is_found(law):
    found = scaling_laws.fit_floor_law(COMPUTE, law(COMPUTE))
    assert found.b == pytest.approx(law.b, rel=1e-4)
    assert found.c == pytest.approx(law.c, rel=1e-3)
    assert found(1e13) == pytest.approx(law(1e13), rel=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_the_fit_with_a_floor_is_scipys(seed):
    loss = noisy(FloorLaw(60.0, -0.2, 1.98), COMPUTE, 0.01, seed)
    unit = np.exp(np.log(COMPUTE).mean())

    def errors(p):
        return (p[0] * (COMPUTE / unit) ** p[1] + p[2]) / loss - 1

    starts = [(1.0, -0.1, 1.0), (1.0, -0.4, 2.5), (3.0, -0.02, 0.1)]
    bounds = ([0, -3, 0], [np.inf, -0.003, np.inf])
    theirs = min((optimize.least_squares(errors, s, bounds=bounds, xtol=1e-14, ftol=1e-14) for s in starts),
                 key=lambda end: end.cost)  # fmt: skip
    ours = scaling_laws.fit_floor_law(COMPUTE, loss)
    assert np.sum((ours(COMPUTE) / loss - 1) ** 2) <= 2 * theirs.cost * (1 + 1e-7)
    assert ours.b == pytest.approx(theirs.x[1], abs=2e-3)
    assert ours(1e12) == pytest.approx(theirs.x[0] * (1e12 / unit) ** theirs.x[1] + theirs.x[2], rel=1e-3)


def test_a_given_floor_is_kept_and_the_rest_is_a_straight_line():
    law = FloorLaw(60.0, -0.2, 1.98)
    found = scaling_laws.fit_floor_law(COMPUTE, law(COMPUTE), c=1.98)
    assert found.c == 1.98
    assert (found.a, found.b) == pytest.approx((law.a, law.b), rel=1e-4)
    wrong = scaling_laws.fit_floor_law(COMPUTE, law(COMPUTE), c=0.0)
    assert wrong(1e13) < law(1e13)  # a law without floor promises too much


def test_the_floor_is_never_negative():
    straight = 10 * COMPUTE**-0.05
    assert scaling_laws.fit_floor_law(COMPUTE, straight - 0.5 + 0.5).c >= 0
    assert scaling_laws.fit_floor_law(COMPUTE, straight - 1.2).c == 0


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_intervals_hold_as_often_as_they_say(level):
    law, at, n = FloorLaw(60.0, -0.2, 1.98), 1.2e12, 200
    kept, kept_floor = 0, 0
    for seed in range(n):
        rng = np.random.default_rng(1000 + seed)
        told = scaling_laws.predict(COMPUTE, noisy(law, COMPUTE, 0.004, seed), at, rng, level, n_samples=300)
        kept += told.holds(law(at) * (1 + 0.004 * rng.normal()))
        kept_floor += told.floors[0] <= law.c <= told.floors[1]
    spread = 3 * np.sqrt(level * (1 - level) / n)
    assert abs(kept / n - level) < spread + 0.04
    assert abs(kept_floor / n - level) < spread + 0.04


def test_the_same_generator_gives_the_same_interval():
    loss = noisy(FloorLaw(60.0, -0.2, 1.98), COMPUTE, 0.004, 0)
    one, two = (scaling_laws.predict(COMPUTE, loss, 1e12, np.random.default_rng(3), n_samples=50) for _ in range(2))
    assert one == two


# --- L(N, D) -----------------------------------------------------------------------------------------------------------


def chinchilla_runs(law, spread, seed, n=240):
    """Runs of the sizes and lengths of the paper's, with a law that is known."""
    rng = np.random.default_rng(seed)
    N = np.exp(rng.uniform(np.log(5e7), np.log(1.6e10), n))
    D = np.exp(rng.uniform(np.log(2e9), np.log(3e11), n))
    return N, D, law(N, D) * np.exp(spread * rng.normal(size=n))


@pytest.mark.parametrize("law", [HOFFMANN, BESIROGLU])
def test_published_constants_are_recovered_without_noise(law):
    found = chinchilla.fit_joint_law(*chinchilla_runs(law, 0.0, 0))
    for name in ("E", "A", "B", "alpha", "beta"):
        assert getattr(found, name) == pytest.approx(getattr(law, name), rel=1e-3), name


@pytest.mark.parametrize("seed", range(4))
def test_published_constants_are_recovered_within_their_published_errors(seed):
    found = chinchilla.fit_joint_law(*chinchilla_runs(BESIROGLU, 0.002, seed))
    for name in ("E", "A", "B", "alpha", "beta"):
        assert abs(getattr(found, name) - getattr(BESIROGLU, name)) < 2 * getattr(ERRORS, name), name
    assert found.exponent == pytest.approx(BESIROGLU.exponent, abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_the_joint_fit_is_scipys(seed):
    N, D, L = chinchilla_runs(HOFFMANN, 0.003, seed, n=60)
    ours = chinchilla.fit_joint_law(N, D, L)

    def misfit(p):
        r = np.logaddexp.reduce([np.full_like(N, p[0]), p[1] - p[3] * np.log(N), p[2] - p[4] * np.log(D)]) - np.log(L)
        size = np.abs(r)
        return np.where(size <= 1e-3, r**2 / 2, 1e-3 * (size - 5e-4)).sum()

    def of(law):
        return misfit([np.log(law.E), np.log(law.A), np.log(law.B), law.alpha, law.beta])

    start = [np.log(1.7), np.log(400), np.log(400), 0.33, 0.29]
    theirs = optimize.minimize(misfit, start, method="Nelder-Mead",
                               options={"maxiter": 40000, "maxfev": 40000, "xatol": 1e-10, "fatol": 1e-14})  # fmt: skip
    assert of(ours) <= theirs.fun * (1 + 1e-6)


def test_one_bad_run_does_not_pull():
    N, D, L = chinchilla_runs(HOFFMANN, 0.0, 0, n=60)
    L[7] *= 1.3
    found = chinchilla.fit_joint_law(N, D, L)
    assert (found.alpha, found.beta, found.E) == pytest.approx((0.3392, 0.2849, 1.6934), rel=0.01)


@pytest.mark.parametrize("law", [HOFFMANN, BESIROGLU])
def test_the_optimum_is_the_lowest_point_along_one_compute(law):
    C = 5.76e23
    N = np.geomspace(1e9, 1e12, 400_001)
    best = N[np.argmin(law(N, C / 6 / N))]
    n, d = law.optimum(C)
    assert n == pytest.approx(best, rel=1e-4)
    assert 6 * n * d == pytest.approx(C)


def test_the_rounding_trap():
    """The same fit with exponents rounded to two digits asks for half as many tokens again. Facts: section 4.2."""
    printed = JointLaw(1.69, 406.4, 410.7, 0.34, 0.28)
    for law, ratio in ((printed, 92.6), (HOFFMANN, 59.1), (BESIROGLU, 18.4)):
        n, d = law.optimum(5.76e23)
        assert d / n == pytest.approx(ratio, abs=0.06)


# --- one compute, many sizes -------------------------------------------------------------------------------------------


def test_isoflop_valleys_have_the_exponent_of_the_law():
    N, D = [], []
    for C in (1e19, 1e20, 1e21):
        n, _ = HOFFMANN.optimum(C)
        sizes = n * np.geomspace(0.8, 1.25, 7)
        N += list(sizes)
        D += list(C / 6 / sizes)
    computes, best, law = chinchilla.best_sizes(N, D, HOFFMANN(N, D))
    assert computes == pytest.approx([1e19, 1e20, 1e21])
    assert best == pytest.approx([HOFFMANN.optimum(C)[0] for C in computes], rel=5e-3)
    assert law.b == pytest.approx(HOFFMANN.exponent, abs=2e-3)


@pytest.mark.parametrize("sizes, losses, match", [
    ([1, 2], [3, 2], "at least three different sizes"),
    ([1, 2, 4], [3, 2, 1], "between the smallest and the largest"),
    ([1, 2, 4], [1, 2, 1], "between the smallest and the largest"),
    ([1, 2, 4], [3, np.nan, 3], "above 0"),
])  # fmt: skip
def test_a_valley_must_be_one(sizes, losses, match):
    with pytest.raises(ValueError, match=match):
        chinchilla.isoflop_optimum(sizes, losses)


# --- bad input ---------------------------------------------------------------------------------------------------------

GOOD_C, GOOD_L = [1e3, 1e4, 1e5, 1e6], [3.0, 2.5, 2.25, 2.1]


@pytest.mark.parametrize("compute, loss, match", [
    (GOOD_C[:3], GOOD_L[:3], "at least 4 runs; got 3"),
    (GOOD_C, [3.0, 2.5, -2.25, 2.1], "above 0"),
    (GOOD_C, [3.0, 2.5, np.nan, 2.1], "nan"),
    (GOOD_C, [3.0, 2.5, np.inf, 2.1], "finite"),
    (GOOD_C[::-1], GOOD_L, "grows along the list"),
    ([0, *GOOD_C[1:]], GOOD_L, "above 0"),
    ([1e3, 1e3, 1e4, 1e4], GOOD_L, "three different computes"),
    (GOOD_C, GOOD_L[:3], "for each run"),
])  # fmt: skip
def test_bad_runs_are_refused(compute, loss, match):
    with pytest.raises(ValueError, match=match):
        scaling_laws.fit_floor_law(compute, loss)
    with pytest.raises(ValueError, match=match):
        scaling_laws.predict(compute, loss, 1e9, np.random.default_rng(0))


@pytest.mark.parametrize("at, level", [(-1, 0.9), (1e9, 0), (1e9, 1.0)])
def test_bad_questions_are_refused(at, level):
    with pytest.raises(ValueError, match="expected a level"):
        scaling_laws.predict(GOOD_C, GOOD_L, at, np.random.default_rng(0), level)


@pytest.mark.parametrize("change, match", [
    (lambda N, D, L: (N[:5], D[:5], L[:5]), "at least 6 runs"),
    (lambda N, D, L: (N, D, -L), "above 0"),
    (lambda N, D, L: (N, D, np.where(N == N[3], np.nan, L)), "above 0"),
    (lambda N, D, L: (np.full_like(N, 1e9), D, L), "three different sizes"),
    (lambda N, D, L: (N, D[:4], L), "at least 6 runs"),
])  # fmt: skip
def test_bad_joint_runs_are_refused(change, match):
    with pytest.raises(ValueError, match=match):
        chinchilla.fit_joint_law(*change(*chinchilla_runs(HOFFMANN, 0.0, 0, n=20)))


def test_nobody_gains_by_saying_another_interval_than_he_believes():
    drawn = np.random.default_rng(0).normal(size=200_000)
    ends = np.array([-2.2, -1.9, -1.6449, -1.4, -1.1])  # the middle one leaves 5 % on each side

    def mean(low, high):
        return np.mean((high - low) + 20 * np.maximum(0, np.maximum(low - drawn, drawn - high)))

    paid = [mean(low, -low) for low in ends]
    assert int(np.argmin(paid)) == 2
    for low, high, came in ((0.0, 1.0, 0.5), (0.0, 1.0, 1.5), (0.0, 1.0, -0.25)):
        by_hand = high - low + 20 * max(0, low - came, came - high)
        assert scaling_laws.interval_score(low, high, came) == pytest.approx(by_hand)
    assert scaling_laws.interval_score(0.0, 1.0, 2.0, level=0.5) == pytest.approx(1 + 4)


@pytest.mark.parametrize("wrong", [(2.0, 1.0, 1.5), (0.0, 1.0, 0.5, 1.0), (float("nan"), 1.0, 0.5)])
def test_bad_intervals(wrong):
    with pytest.raises(ValueError, match="expected low <= high"):
        scaling_laws.interval_score(*wrong)
