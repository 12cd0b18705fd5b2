"""Accuracy by split is counted right, and an occlusion map finds what an answer depends on."""

import numpy as np
import pytest
import torch
from picture_readers import PICTURE, Says

from minigpt.experiments.gpt4 import held_out_pictures, occlusion
from minigpt.worlds import held_out_shapes, shapes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIGPT_CACHE", str(tmp_path_factory.mktemp("cache")))
        one, two = held_out_pictures.train_vqa(3, n_steps=60), held_out_pictures.train_vqa(3, n_steps=60)
    assert all(torch.equal(a, b) for a, b in zip(one.model.state_dict().values(), two.model.state_dict().values()))
    assert (one.accuracy == two.accuracy).all()
    return one


@pytest.mark.slow
def test_counting_comes_within_sixty_updates(trained):
    assert trained.steps.tolist() == list(range(6, 61, 6))
    assert trained.accuracy.shape == (10, len(shapes.KINDS))
    count = dict(zip(shapes.KINDS, trained.accuracy[-1]))["count"]
    assert count > held_out_shapes.blind_guess()["count"] + 0.1


def test_answers_are_probabilities_of_words_and_attention_has_a_place_for_each_patch(trained):
    text = "how many things are there"
    ids = [shapes.encode(text)]
    p = held_out_pictures.answer_probabilities(trained.model, PICTURE.pixels()[None], ids)
    assert p.sum() == pytest.approx(1)
    (best, first), (_, second) = held_out_pictures.answer(trained.model, PICTURE, text, n=2)
    assert best == shapes.vocabulary()[int(p[0].argmax())] and first >= second
    assert held_out_pictures.answer(trained.model, None, text)[0][1] > 0
    maps = occlusion.attention_map(trained.model, PICTURE, text)
    assert maps.shape == (2, 4, 4) and (maps > 0).all() and (maps.sum(axis=(1, 2)) < 1).all()


def test_training_batches_hold_only_training_layouts_and_the_blind_get_the_same_questions():
    ids, answers = held_out_pictures.TrainingPictures(1, blind=True)[4]
    images, same, same_answers = held_out_pictures.TrainingPictures(1, blind=False)[4]
    assert (ids == same).all() and (answers == same_answers).all()
    assert images.shape == (held_out_pictures.BATCH, 16, 16, 3)
    assert not (held_out_pictures.TrainingPictures(2, blind=True)[4][0] == ids).all()
    for picture in held_out_shapes.draw_pictures("training", 64, np.random.default_rng([1, 4])):
        assert held_out_shapes.split(picture) == "training"


def test_accuracy_is_one_for_who_knows_and_none_for_who_never_says_it():
    asked = held_out_pictures.test_questions("unseen pair", 60)
    known = {picture.tobytes(): question.answer for picture, question in zip(asked.images, asked.questions)}
    knows = Says(lambda image, text: "?" if image is None else known[image.tobytes()])
    assert set(held_out_pictures.accuracy(knows, asked).values()) == {1.0}
    assert set(held_out_pictures.accuracy(knows, asked, blind=True).values()) == {0.0}
    assert set(held_out_pictures.accuracy(Says(lambda image, text: "?"), asked).values()) == {0.0}


def test_what_is_said_instead_of_an_unseen_pair():
    pictures = held_out_pictures.test_pictures("unseen pair")
    several = [p for p in pictures if len(p.there) > 1]
    with_green = np.mean([any(colour == "green" for colour, _ in p.there) for p in several])
    said = held_out_pictures.answered_instead(Says(lambda image, text: "green"), "colour")
    assert said == pytest.approx(with_green, abs=0.05)
    assert held_out_pictures.answered_instead(Says(lambda image, text: "red"), "colour") < 0.5 * with_green
