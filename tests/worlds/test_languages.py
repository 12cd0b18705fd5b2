"""Seven languages: what they share, what is told in each, and how often."""

import numpy as np
import pytest

from minigpt.worlds import languages as language_world
from minigpt.worlds.languages import Language


@pytest.fixture(scope="module")
def world():
    return language_world.draw_world(3)


def test_relatives_share_words_and_strangers_none(world):
    first = world.words[0]
    for number, language in enumerate(world.languages):
        shared = (world.words[number] == first).mean()
        assert shared == pytest.approx(language.kin, abs=0.12)
        assert len(set(world.words[number].tolist())) == len(first)
    strangers = [i for i, language in enumerate(world.languages) if language.kin == 0]
    together = np.concatenate([world.words[i] for i in (0, *strangers)])
    assert len(set(together.tolist())) == len(together)
    assert together.max() < world.n_vocab


def test_texts_tell_the_truth_in_one_language_each(world):
    texts = world.draw(2000, np.random.default_rng(0))
    which = texts[:, 0] - 1
    shares = np.bincount(which, minlength=7) / 2000
    told = np.array([language.share for language in world.languages])
    assert shares == pytest.approx(told / told.sum(), abs=0.04)
    for text, language in zip(texts[:100], which):
        for s, r, v in text[1:].reshape(-1, 3):
            subject = np.flatnonzero(world.words[language] == s).item()
            relation = np.flatnonzero(world.words[language] == r).item() - language_world.N_SUBJECTS
            assert v == world.value(language, relation, world.facts[subject, relation])


def test_exam_questions_have_four_different_choices_and_the_right_one_first(world):
    questions, choices = world.exam(2, np.random.default_rng(0))
    assert questions.shape == (160, 3)
    assert all(len(set(row)) == 4 for row in choices.tolist())
    for i in (0, 77, 159):
        subject, relation = divmod(i, language_world.N_RELATIONS)
        assert choices[i, 0] == world.value(2, relation, world.facts[subject, relation])


def test_how_often_a_fact_is_told(world):
    told = world.seen(1000)
    assert sum(told.values()) == pytest.approx(1000 * 8 / 160)
    assert told["first"] / told["stranger, 1 %"] == pytest.approx(70)


@pytest.mark.parametrize("languages", [(), (Language("a", 0.0, 1.0),), (Language("a", 1.0, 1.5),)])
def test_bad_languages(languages):
    with pytest.raises(ValueError, match="expected languages"):
        language_world.draw_world(0, languages)
