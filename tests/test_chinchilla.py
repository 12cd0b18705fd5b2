"""L(N, D) and isoFLOP profiles against scipy, published constants, and laws that are known because we made the data."""

import numpy as np
import pytest
from scipy import optimize, stats

from minigpt import chinchilla
from minigpt.chinchilla import JointLaw

HOFFMANN = JointLaw(1.6934, 406.4, 410.7, 0.3392, 0.2849)  # unrounded
BESIROGLU = JointLaw(1.8172, 482.01, 2085.43, 0.3478, 0.3658)
ERRORS = JointLaw(0.03, 124.58, 1293.23, 0.02, 0.02)  # as printed by Besiroglu et al.


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


def test_runs_of_nearly_one_compute_belong_together_in_any_order():
    rng, N, D = np.random.default_rng(0), [], []
    jitter = np.array([0.97, 1.0, 1.04, 0.99, 1.02])
    for C in (1e19, 1e20, 1e21):
        sizes = HOFFMANN.optimum(C)[0] * np.geomspace(0.5, 2, 5)
        N += list(sizes)
        D += list(C * jitter / 6 / sizes)
    order = rng.permutation(15)
    N, D = np.array(N)[order], np.array(D)[order]
    computes, best, law = chinchilla.best_sizes(N, D, HOFFMANN(N, D))
    assert computes == pytest.approx(np.array([1e19, 1e20, 1e21]) * stats.gmean(jitter))
    assert best == pytest.approx([HOFFMANN.optimum(C)[0] for C in computes], rel=0.15)
    theirs = stats.linregress(np.log(computes), np.log(best))
    assert (law.b, law.a) == pytest.approx((theirs.slope, np.exp(theirs.intercept)))


def test_the_lowest_point_of_a_parabola_that_leans_to_one_side():
    N = np.array([1e3, 2e3, 6e3, 3e4, 2e5])
    for lowest in (4e3, 2e4):
        found = chinchilla.isoflop_optimum(N, 2.5 + 0.1 * np.log(N / lowest) ** 2)
        assert found == pytest.approx((lowest, 2.5))


@pytest.mark.parametrize("sizes, losses, match", [
    ([1, 2], [3, 2], "at least three different sizes"),
    ([1, 2, 4], [3, 2, 1], "between the smallest and the largest"),
    ([1, 2, 4], [1, 2, 1], "between the smallest and the largest"),
    ([1, 2, 4], [3, np.nan, 3], "above 0"),
])  # fmt: skip
def test_a_valley_must_be_one(sizes, losses, match):
    with pytest.raises(ValueError, match=match):
        chinchilla.isoflop_optimum(sizes, losses)


@pytest.mark.parametrize("change, match", [
    (lambda N, D, L: (N[:5], D[:5], L[:5]), "at least 6 runs"),
    (lambda N, D, L: (N, D, -L), "above 0"),
    (lambda N, D, L: (N, D, np.where(N == N[3], np.nan, L)), "above 0"),
    (lambda N, D, L: (np.full_like(N, 1e9), D, L), "three different sizes"),
    (lambda N, D, L: (N, np.where(D > D[0], 1e9, 2e9), L), "three different numbers of tokens"),
    (lambda N, D, L: (N, D[:4], L), "at least 6 runs"),
])  # fmt: skip
def test_bad_joint_runs_are_refused(change, match):
    with pytest.raises(ValueError, match=match):
        chinchilla.fit_joint_law(*change(*chinchilla_runs(HOFFMANN, 0.0, 0, n=20)))


@pytest.mark.parametrize("delta", [-1, 0, np.nan, np.inf])
def test_a_bad_delta_is_refused(delta):
    with pytest.raises(ValueError, match="delta above 0"):
        chinchilla.fit_joint_law(*chinchilla_runs(HOFFMANN, 0.0, 0, n=20), delta=delta)


def test_of_all_starts_the_one_that_fits_best_is_kept(monkeypatch):
    misfits = iter([3.0, 1.0, 2.0, *[4.0] * (len(chinchilla._STARTS) - 3)])

    def descend(u, v, y, start, delta):
        misfit = next(misfits)
        return misfit, np.array([0.0, 0.0, 0.0, misfit / 10, 0.5])

    monkeypatch.setattr(chinchilla, "_descend", descend)
    N, D = (each.ravel() for each in np.meshgrid([1e3, 1e4, 1e5], [1e5, 1e6, 1e7]))
    assert chinchilla.fit_joint_law(N, D, 1 + 10 / N**0.3).alpha == pytest.approx(0.1)
