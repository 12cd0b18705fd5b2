"""Scaling laws against scipy, against laws that are known because we made the data, and by hand."""

import numpy as np
import pytest
from scipy import optimize, stats

from minigpt import scaling_laws
from minigpt.scaling_laws import FloorLaw

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


@pytest.mark.slow
@pytest.mark.parametrize(("n_runs", "level"), [(6, 0.9), (10, 0.9), (8, 0.5)])
def test_intervals_hold_as_often_as_they_say(n_runs, level):
    """500 worlds of known law: the new run, one decade beyond, lies inside as often as claimed, within 3 points."""
    laws, kept = (FloorLaw(60.0, -0.2, 1.98), FloorLaw(300.0, -0.3, 1.5)), 0
    compute = np.geomspace(1e9, 1e11, n_runs)
    for world in range(500):
        law, rng = laws[world % 2], np.random.default_rng(world)
        loss = law(compute) * (1 + 0.01 * rng.normal(size=n_runs))
        told = scaling_laws.predict(compute, loss, 1e12, rng, level, n_samples=200)
        kept += told.holds(law(1e12) * (1 + 0.01 * rng.normal()))
    assert abs(kept / 500 - level) < 0.03


@pytest.mark.parametrize("c", [None, 1.98])
def test_with_little_noise_the_interval_is_students_t_for_a_linear_model(c):
    """The law is nearly linear in its constants there: the textbook prediction interval, from the Jacobian."""
    law, compute, at, level = FloorLaw(60.0, -0.2, 1.98), np.geomspace(1e9, 1e11, 6), 1e12, 0.8
    loss = noisy(law, compute, 1e-3, 3)
    fit = scaling_laws.fit_floor_law(compute, loss, c)

    def slopes(x):  # of log L in a, b and c
        power = x**fit.b
        each = np.stack([power, fit.a * power * np.log(x), np.ones_like(x)], axis=-1) / fit(x)[..., None]
        return each if c is None else each[..., :2]

    scale = np.abs(slopes(compute)).max(axis=0)
    J, new = slopes(compute) / scale, slopes(np.array([at]))[0] / scale
    k = len(compute) - J.shape[1]
    s = np.sqrt(np.sum((loss / fit(compute) - 1) ** 2) / k)
    half = stats.t.ppf((1 + level) / 2, k) * s * np.sqrt(1 + new @ np.linalg.solve(J.T @ J, new))
    told = scaling_laws.predict(compute, loss, at, np.random.default_rng(0), level, n_samples=8000, c=c)
    assert np.log(told.high / told.low) == pytest.approx(2 * half, rel=0.05)
    assert told.value == pytest.approx(float(fit(at)))
    if c is None:
        of_c = np.sqrt(np.linalg.inv(J.T @ J)[2, 2]) / scale[2]
        width = 2 * stats.t.ppf((1 + level) / 2, k) * s * of_c
        assert told.floors[1] - told.floors[0] == pytest.approx(width, rel=0.1)
        assert told.floors[0] < fit.c < told.floors[1]


def test_losses_that_rise_give_a_flat_law_at_their_weighted_level():
    loss = np.linspace(2.0, 3.0, len(COMPUTE))
    found = scaling_laws.fit_floor_law(COMPUTE, loss)
    level = np.sum(1 / loss) / np.sum(1 / loss**2)  # the constant with the least relative errors
    assert found(1e9) == pytest.approx(level) and found(1e13) == pytest.approx(level)


def test_the_same_generator_gives_the_same_interval():
    loss = noisy(FloorLaw(60.0, -0.2, 1.98), COMPUTE, 0.004, 0)
    one, two = (scaling_laws.predict(COMPUTE, loss, 1e12, np.random.default_rng(3), n_samples=50) for _ in range(2))
    assert one == two


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


@pytest.mark.parametrize("c", [-1.0, np.nan, np.inf])
def test_bad_floors_are_refused(c):
    with pytest.raises(ValueError, match="irreducible loss c"):
        scaling_laws.fit_floor_law(GOOD_C, GOOD_L, c)
    with pytest.raises(ValueError, match="irreducible loss c"):
        scaling_laws.predict(GOOD_C, GOOD_L, 1e9, np.random.default_rng(0), c=c)


@pytest.mark.parametrize("at, level", [(np.inf, 0.9), (-1, 0.9), (1e9, 0), (1e9, 1.0)])
def test_bad_questions_are_refused(at, level):
    with pytest.raises(ValueError, match="expected a level"):
        scaling_laws.predict(GOOD_C, GOOD_L, at, np.random.default_rng(0), level)


def test_the_interval_score_is_proper_and_by_hand():
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


@pytest.mark.parametrize("n", [3, 4, 9])
def test_a_power_law_is_scipys_straight_line_between_logarithms(n):
    rng = np.random.default_rng(n)
    x = np.geomspace(10, 1e5, n)
    y = 3 * x**-0.2 * np.exp(0.1 * rng.normal(size=n))
    law, theirs = scaling_laws.fit_power_law(x, y), stats.linregress(np.log(x), np.log(y))
    assert (law.b, np.log(law.a), law.n) == pytest.approx((theirs.slope, theirs.intercept, n))
    half = stats.t.ppf(0.975, n - 2) * theirs.stderr
    assert (law.b_low, law.b_high) == pytest.approx((law.b - half, law.b + half))
    left = np.log(y) - theirs.intercept - theirs.slope * np.log(x)
    assert law.spread == pytest.approx(np.sqrt((left**2).sum() / (n - 2)))
    assert law(50.0) == pytest.approx(np.exp(theirs.intercept + theirs.slope * np.log(50)))
    assert law.factor(7) == pytest.approx(law(7 * 50) / law(50))


def test_two_points_give_a_power_law_without_an_interval():
    law = scaling_laws.fit_power_law([10, 1000], [4.0, 1.0])
    assert law([10, 1000]) == pytest.approx([4, 1]) and np.isnan([law.b_low, law.b_high, law.spread]).all()


def test_a_frontier_point_is_better_than_all_that_cost_as_much_or_less():
    rng = np.random.default_rng(0)
    for _ in range(50):  # few different numbers, so that computes and losses are often equal
        compute, loss = rng.integers(1, 6, 12).astype(float), rng.integers(1, 6, 12).astype(float)
        best = {
            (c, x) for c, x in zip(compute, loss)
            if all(other > x or (k, other) == (c, x) for k, other in zip(compute, loss) if k <= c)
        }  # fmt: skip
        found = scaling_laws.frontier(compute, loss)
        assert list(zip(*(each.tolist() for each in found))) == sorted(best)


@pytest.mark.parametrize("x, y, match", [
    ([1, 2], [1.0], "same length"), ([], [], "at least one point"), ([1, np.nan], [1.0, 2.0], "finite"),
    ([[1, 2]], [[1.0, 2.0]], "two rows"),
])  # fmt: skip
def test_points_that_are_none_are_refused(x, y, match):
    for use in (scaling_laws.frontier, scaling_laws.fit_power_law, scaling_laws.straightness):
        with pytest.raises(ValueError, match=match):
            use(x, y)


@pytest.mark.parametrize("x, y, match", [([0, 1], [1.0, 2.0], "above 0"), ([1, 2], [1.0, -2.0], "above 0"),
                                         ([3, 3], [1.0, 2.0], "two different x")])  # fmt: skip
def test_a_power_law_needs_two_x_and_numbers_above_0(x, y, match):
    with pytest.raises(ValueError, match=match):
        scaling_laws.fit_power_law(x, y)


def test_a_lower_envelope_lies_on_the_lowest_of_curves_that_cross():
    x = np.geomspace(1, 100, 9)
    shallow, steep = 2 * x**-0.1, 4 * x**-0.5
    compute, loss = scaling_laws.lower_envelope([(x[::-1], shallow[::-1]), (10 * x, 4 * (10 * x) ** -0.5)], 31)
    np.testing.assert_allclose(loss[compute < 9.99], 2 * compute[compute < 9.99] ** -0.1)
    late = compute[compute > 10.01]
    lowest = np.minimum(2 * late**-0.1 + (late > 100), 4 * late**-0.5)
    np.testing.assert_allclose(loss[compute > 10.01], lowest)
    assert compute[0] == 1 and compute[-1] == pytest.approx(1000) and len(compute) == 31
    assert (steep < shallow).any() and (steep > shallow).any()


def test_a_lower_envelope_has_no_points_where_no_run_is():
    compute, _ = scaling_laws.lower_envelope([([1, 2], [3.0, 2.0]), ([50, 100], [1.0, 0.9])], 50)
    assert not ((compute > 2) & (compute < 50)).any() and len(compute) < 50
    for wrong in ([], [([1, 2], [0.0, 1.0])], [([0, 2], [1.0, 1.0])]):
        with pytest.raises(ValueError, match="at least one run, and numbers above 0"):
            scaling_laws.lower_envelope(wrong)


def test_straightness_is_the_quadratic_term_and_the_share_explained():
    u = np.linspace(-2, 3, 40)
    curvature, r2 = scaling_laws.straightness(np.exp(u), np.exp(1 - 0.5 * u + 0.07 * u**2))
    assert curvature == pytest.approx(0.07) and 0.9 < r2 < 0.999
    design = np.stack([np.ones_like(u), u], axis=1)
    v = 1 - 0.5 * u + 0.07 * u**2
    residual = np.linalg.lstsq(design, v, rcond=None)[1][0]
    assert r2 == pytest.approx(1 - residual / ((v - v.mean()) ** 2).sum())
    with pytest.raises(ValueError, match="three different x"):
        scaling_laws.straightness([1, 1, 2], [1.0, 2.0, 3.0])


def test_local_exponents_are_equal_for_a_power_law_and_show_which_point_is_off():
    x = np.array([1.0, 3.0, 10.0, 40.0])
    y = 5 * x**-0.4
    np.testing.assert_allclose(scaling_laws.local_exponents(x, y), -0.4)
    y[0] *= 1.2
    found = scaling_laws.local_exponents(x, y)
    assert found[0] == pytest.approx(-0.4 - np.log(1.2) / np.log(3)) and found[1:] == pytest.approx(-0.4)
    with pytest.raises(ValueError, match="x rising"):
        scaling_laws.local_exponents([1, 1, 2], [3, 2, 1])
    with pytest.raises(ValueError, match="above 0"):
        scaling_laws.local_exponents([1, 2], [1, 0])


def test_an_error_is_told_as_a_share_of_what_is_left_above_the_floor():
    assert scaling_laws.reducible_error(2.5, 2.0, 1.0) == pytest.approx(0.5)
    assert scaling_laws.reducible_error(1.5, 2.0, 1.0) == pytest.approx(-0.5)
    with pytest.raises(ValueError, match="above the floor; got 1.0 and 1.0"):
        scaling_laws.reducible_error(1.0, 1.0, 1.0)


def test_runs_of_nearly_two_computes_warn_nobody_and_give_a_law():
    compute, loss = [1.0, 1.001, 1.001, 1.3], [1.446, 1.403, 1.393, 1.317]
    with np.errstate(all="raise", under="ignore"):
        law = scaling_laws.fit_floor_law(compute, loss)
        said = scaling_laws.predict(compute, loss, 200.0, np.random.default_rng(0))
    assert 0 <= law.c <= 1.45 and np.isfinite([said.value, said.low, said.high]).all()


def test_a_run_that_broke_off_has_no_interval_score():
    with pytest.raises(ValueError, match="nan"):
        scaling_laws.interval_score(1.0, 2.0, float("nan"))
