"""A model that sees learns something in a moment; one that does not stays at what a blind guess is worth."""

import numpy as np
import pytest
import torch

from minigpt.experiments.gpt4 import visual_questions
from minigpt.worlds import shapes
from minigpt.worlds.shapes import Picture

PICTURE = Picture((None, ("red", "circle"), ("blue", "square"), None))
pytestmark = pytest.mark.xdist_group("visual questions")  # the slow test and the others ask the same model


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIGPT_CACHE", str(tmp_path_factory.mktemp("cache")))
        one, two = visual_questions.train_vqa(3, n_steps=60), visual_questions.train_vqa(3, n_steps=60)
    assert all(torch.equal(a, b) for a, b in zip(one.model.state_dict().values(), two.model.state_dict().values()))
    assert (one.accuracy == two.accuracy).all()
    return one


@pytest.mark.slow
def test_counting_comes_within_sixty_updates(trained):
    assert trained.steps.tolist() == list(range(6, 61, 6))
    assert trained.accuracy.shape == (10, len(shapes.KINDS))
    count = dict(zip(shapes.KINDS, trained.accuracy[-1]))["count"]
    assert count > shapes.blind_guess()["count"] + 0.1


def test_answers_are_probabilities_of_words(trained):
    p = visual_questions.answer_probabilities(trained.model, PICTURE.pixels()[None], [shapes.encode("how many things are there?")])
    assert p.sum() == pytest.approx(1)
    (best, first), (_, second) = visual_questions.answer(trained.model, PICTURE, "how many things are there?", n=2)
    assert best == shapes.vocabulary()[int(p[0].argmax())]
    assert first >= second
    assert visual_questions.answer(trained.model, None, "how many things are there?")[0][1] > 0


def test_attention_has_a_place_for_each_patch(trained):
    maps = visual_questions.attention_to_image(trained.model, PICTURE, "what colour is the circle?")
    assert maps.shape == (2, 4, 4)
    assert (maps > 0).all()
    assert (maps.sum(axis=(1, 2)) < 1).all()


def test_batches_without_pictures_are_the_same_questions():
    ids, answers = visual_questions.FreshPictures(1, blind=True)[4]
    images, same, same_answers = visual_questions.FreshPictures(1, blind=False)[4]
    assert (ids == same).all()
    assert (answers == same_answers).all()
    assert images.shape == (visual_questions.BATCH, 16, 16, 3)
    assert not (visual_questions.FreshPictures(2, blind=True)[4][0] == ids).all()


def test_accuracy_by_hand():
    batch = visual_questions.held_out_pictures(40)

    class Knows(torch.nn.Module):
        def forward(self, images, ids):
            logits = torch.zeros(len(ids), 1, len(shapes.vocabulary()))
            logits[torch.arange(len(ids)), 0, torch.from_numpy(batch.answers)] = 5.0
            return logits

    assert set(visual_questions.accuracy(Knows(), batch).values()) == {1.0}
    assert np.mean(list(visual_questions.accuracy(Knows(), batch, blind=True).values())) == 1


@pytest.mark.parametrize(("aside", "share"), [(0, 1.0), (1, 0.0), (None, 0.25)])
def test_who_looks_at_what_is_asked_for_is_found_out(monkeypatch, aside, share):
    def attention_to_image(model, picture, question):
        maps = np.full((2, 4, 4), 1 / 16)
        if aside is not None:
            (place,) = (i for i, thing in enumerate(picture.things) if thing[1] == question.split()[-1])
            row, column = divmod((place + aside) % 4, 2)
            maps[:] = 0
            maps[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 0.1
        return maps

    monkeypatch.setattr(visual_questions, "attention_to_image", attention_to_image)
    assert visual_questions.attention_to_what_is_asked(None, n=5) == pytest.approx([share, share])
