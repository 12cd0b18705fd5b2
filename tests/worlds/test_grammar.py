"""grammar: three ways to run a program, checked against each other, by hand, and by a G-test of drawn documents."""

import math
import random
from collections import Counter

import pytest
from scipy.stats import chi2, power_divergence

from minigpt.worlds.grammar import END, documents, first_impossible, predict, sample, score, words


def weather(d):
    """Eight runs, one hidden state, a choice that depends on an earlier one, and two roads to one text."""
    season = d.hidden(("summer", "winter"), (2, 1))
    day = d.pick(("Monday", "Sunday"), form=lambda x: f"{x}:")
    if season == "summer":
        d.pick((" sun", " rain"), (3, 1))
    elif day == "Monday":
        d.pick((" rain", " snow", " snowflakes"), (1, 1, 2))
    else:
        d.write(" rain")
    d.write(".")
    return season


# P(text) by hand: P(season) P(day) P(weather | season, day), summed over the two seasons
BY_HAND = {
    "Monday: sun.": 2 / 3 * 1 / 2 * 3 / 4,
    "Sunday: sun.": 2 / 3 * 1 / 2 * 3 / 4,
    "Monday: rain.": 2 / 3 * 1 / 2 * 1 / 4 + 1 / 3 * 1 / 2 * 1 / 4,
    "Sunday: rain.": 2 / 3 * 1 / 2 * 1 / 4 + 1 / 3 * 1 / 2,
    "Monday: snow.": 1 / 3 * 1 / 2 * 1 / 4,
    "Monday: snowflakes.": 1 / 3 * 1 / 2 * 2 / 4,
}


def letters(d):
    """Options of several words that begin alike, a loop of hidden length, and an option that never happens."""
    for number in range(d.hidden((1, 2, 3), (1, 2, 1))):
        blank = " " * (number > 0)
        d.pick([blank + animal for animal in ("a red fox", "a red hen", "a blue fox", "an owl")], (1, 2, 3, 0))
        d.write(";")
    return number + 1


def signs(d):
    """Nested hidden choices: the second is only met in one case of the first."""
    if d.hidden((True, False), (1, 3)):
        return d.hidden(("x", "y"), (1, 1)) + d.pick(("1", "2"), (4, 1))
    d.pick(("1", "2"))
    return "z"


PROGRAMS = [weather, letters, signs]


def summed(program):
    """P(text), added up over every run of the program."""
    total = Counter()
    for text, probability, _ in documents(program):
        total[text] += probability
    return total


def g_test(program, probabilities, n=20_000, seed=0):
    """The p-value of n drawn documents under some probabilities of each text: small if they do not fit."""
    counts = Counter(sample(program, rng)[0] for rng in [random.Random(seed)] for _ in range(n))
    assert set(counts) <= set(probabilities)
    observed = [counts[text] for text in probabilities]
    expected = [n * probability for probability in probabilities.values()]
    return power_divergence(observed, expected, lambda_="log-likelihood").pvalue


# --- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lucy the fox.", ["Lucy", " the", " fox", "."]),
        ("TL;DR: a\nb", ["TL", ";", "DR", ":", " a", "\n", "b"]),
        ("une chèvre = 12 goats", ["une", " chèvre", " =", " 12", " goats"]),
        ("", []),
    ],
)
def test_words_of_a_text(text, expected):
    assert list(words(text)) == expected


def test_words_lose_no_character():
    rng = random.Random(0)
    alphabet = "ab éZ 09.;?!'-\n\t \u4e2d\U0001f600"
    for _ in range(500):
        text = "".join(rng.choice(alphabet) for _ in range(rng.randrange(20)))
        assert "".join(words(text)) == text


def test_an_underscore_is_a_character_too():
    assert "".join(words("a_fox")) == "a_fox"
    assert score(weather, "Monday:_ rain.").logp == -math.inf


# --- probabilities --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_probabilities_of_all_documents_sum_to_1(program):
    assert sum(probability for _, probability, _ in documents(program)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("program", "n_runs"), [(weather, 4 + 4), (letters, 3 + 3**2 + 3**3), (signs, 2 * 2 + 2)])
def test_every_run_is_listed_once(program, n_runs):
    assert len(list(documents(program))) == n_runs


def test_probabilities_by_hand():
    assert sum(BY_HAND.values()) == pytest.approx(1)
    assert dict(summed(weather)) == pytest.approx(BY_HAND)
    for text, probability in BY_HAND.items():
        assert math.exp(score(weather, text).logp) == pytest.approx(probability, rel=1e-12)


@pytest.mark.parametrize("program", PROGRAMS)
def test_score_is_the_sum_over_the_runs_that_write_a_text(program):
    for text, probability in summed(program).items():
        assert score(program, text).logp == pytest.approx(math.log(probability), abs=1e-12)


def test_options_of_weight_0_never_happen():
    assert not any("owl" in text for text in summed(letters))
    assert score(letters, "an owl;").logp == -math.inf
    assert " owl" not in predict(letters, "a").next_word
    assert score(lambda d: (d.hidden("ab", (1, 0)), d.write("x"))[0], "x").by_value == {"a": 0.0}
    assert [value for _, _, value in documents(lambda d: (d.hidden("ab", (1, 0)), d.write("x"))[0])] == ["a"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_same_weights_up_to_a_factor_are_the_same_grammar(program):
    class Louder:
        def __init__(self, d):
            self.d = d
            self.write = d.write

        def pick(self, options, weights=None, form=str):
            return self.d.pick(options, [7.5 * w for w in weights or [1] * len(options)], form)

        def hidden(self, options, weights=None):
            return self.d.hidden(options, [0.1 * w for w in weights or [1] * len(options)])

    for text, probability in summed(program).items():
        assert math.exp(score(lambda d: program(Louder(d)), text).logp) == pytest.approx(probability)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_chain_rule(program):
    """The product of the predictions along a document, its end included, is the document's probability."""
    for text, probability in summed(program).items():
        before, logp = "", 0.0
        for word in (*words(text), END):
            prediction = predict(program, before)
            assert prediction.logp == pytest.approx(logp, abs=1e-12)  # P(prefix) is the product so far
            assert sum(prediction.next_word.values()) == pytest.approx(1, abs=1e-12)
            assert all(share > 0 for share in prediction.next_word.values())
            logp += math.log(prediction.next_word[word])
            before += word
        assert logp == pytest.approx(math.log(probability), abs=1e-12)


@pytest.mark.parametrize("program", PROGRAMS)
def test_predictions_are_ratios_of_sums_over_documents(program):
    """P(w | prefix) = P(all documents that begin with prefix w) / P(all that begin with prefix), by listing them."""
    split = {words(text): probability for text, probability in summed(program).items()}
    for prefix in {text[:n] for text in split for n in range(len(text) + 1)}:
        following = Counter()
        for text, probability in split.items():
            if text[: len(prefix)] == prefix:
                following[text[len(prefix)] if len(text) > len(prefix) else END] += probability
        total = sum(following.values())
        expected = {word: share / total for word, share in following.items()}
        assert predict(program, "".join(prefix)).next_word == pytest.approx(expected)


def test_the_posterior_is_bayes_rule():
    posterior = score(weather, "Monday: rain.").posterior()  # prior odds 2 : 1, likelihoods 1/4 and 1/4
    assert posterior == pytest.approx({"summer": 2 / 3, "winter": 1 / 3})
    posterior = score(weather, "Sunday: rain.").posterior()  # prior odds 2 : 1, likelihoods 1/4 and 1
    assert posterior == pytest.approx({"summer": 1 / 3, "winter": 2 / 3})
    assert score(weather, "Sunday: sun.").posterior() == {"summer": 1.0}


@pytest.mark.parametrize("program", PROGRAMS)
def test_posteriors_against_listing_every_run(program):
    runs = Counter()
    for text, probability, value in documents(program):
        runs[text, value] += probability
    total = summed(program)
    for text in total:
        expected = {value: probability / total[t] for (t, value), probability in runs.items() if t == text}
        assert score(program, text).posterior() == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "Monday", "Monday: sun", "Monday: sun..", "monday: sun.", "Monday: snowy.", "x"])
def test_impossible_texts(text):
    reading = score(weather, text)
    assert reading.logp == -math.inf and reading.by_value == {} and reading.posterior() == {}


@pytest.mark.parametrize("prefix", ["x", "Monday: sun..", "Monday: snow. ", "Sunday: snow"])
def test_nothing_can_be_predicted_after_an_impossible_prefix(prefix):
    with pytest.raises(ValueError, match="none begins with") as caught:
        predict(weather, prefix)
    assert repr(prefix) in str(caught.value)


def test_after_a_whole_document_comes_the_end():
    assert predict(weather, "Monday: snow.").next_word == {END: 1.0}
    assert predict(letters, "a red hen;").next_word == pytest.approx({END: 1 / 4, " a": 3 / 4})


# --- what an option may be ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("a fox", "a fox cub"), "prefix-free, but 'a fox' begins 'a fox cub'"),
        (("x", "y", "x"), "prefix-free, but 'x' begins 'x'"),
        (("x", ""), "must write something"),
    ],
)
def test_ambiguous_options_are_refused(options, message):
    for use in (score, predict):
        with pytest.raises(ValueError, match=message):
            use(lambda d: d.pick(options), options[0])


def test_words_may_begin_alike_if_they_are_other_words():
    assert score(lambda d: d.pick(("snow", "snowflakes")), "snow").logp == pytest.approx(-math.log(2))


# --- drawing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_documents_are_drawn_with_their_probabilities(program):
    assert g_test(program, summed(program)) > 1e-3


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_g_test_finds_a_wrong_probability(program):
    """The same test with a fifth of the commonest text's probability moved to another one."""
    wrong = summed(program)
    (common, p), (other, _) = wrong.most_common(2)
    wrong[common] -= 0.2 * p
    wrong[other] += 0.2 * p
    assert g_test(program, wrong) < 1e-6


def test_pairs_of_text_and_value_are_drawn_together():
    exact = Counter()
    for text, probability, value in documents(weather):
        exact[text, value] += probability
    rng, n = random.Random(3), 4000
    counts = Counter(sample(weather, rng) for _ in range(n))
    g = 2 * sum(count * math.log(count / (n * exact[pair])) for pair, count in counts.items())  # by hand
    assert chi2.sf(g, len(exact) - 1) > 1e-3


def test_drawing_is_a_function_of_the_generator():
    draw = [[sample(letters, rng) for _ in range(20)] for rng in (random.Random(1), random.Random(1), random.Random(2))]
    assert draw[0] == draw[1] != draw[2]


class Dice(random.Random):
    """A generator that always says the same number, and counts how often it was asked."""

    def __init__(self, number):
        super().__init__(0)
        self.number, self.asked = number, 0

    def random(self):
        self.asked += 1
        return self.number


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "x"), (0.2499, "x"), (0.25, "y"), (0.4999, "y"), (0.5, "z"), (1 - 2**-53, "z")],
)
def test_which_number_draws_which_option(number, text):
    dice = Dice(number)
    assert sample(lambda d: d.pick("xyz", (1, 1, 2)), dice) == (text, text) and dice.asked == 1


@pytest.mark.parametrize("weights", [[0.1] * 10 + [0.0], [0.7, 0.1, 0.2, 0.0], [1.0, 0.0, 0.0], None])
def test_the_highest_number_never_draws_an_option_of_weight_0(weights):
    """Rounding can leave the highest number a little above the sum of all weights."""
    options = "abcdefghijk"[: len(weights or "xyz")]
    text, _ = sample(lambda d: d.pick(options, weights), Dice(1 - 2**-53))
    assert (weights or [1, 1, 1])[options.index(text)] > 0 and (weights or text == "c")


def test_a_silent_choice_writes_nothing():
    assert sample(lambda d: d.hidden(("only",)), random.Random(0)) == ("", "only")
    assert score(lambda d: d.hidden(("only",)), "").by_value == {"only": 0.0}
    assert list(documents(lambda d: d.hidden("ab", (1, 3)))) == [("", 0.25, "a"), ("", 0.75, "b")]


def test_the_first_impossible_word_is_found_where_it_stands():
    def tell(d):
        d.write("a")
        d.write(d.pick([" red", " blue"]) + " fox")

    cases = [("a red red fox", 5), ("a red red", 3), ("a red red fox red", 4), ("a red blue fox", 2), ("", 0)]
    assert [first_impossible(tell, text) for text, _ in cases] == [n for _, n in cases]
