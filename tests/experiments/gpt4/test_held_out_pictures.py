"""Accuracy by split is counted right, and an occlusion map finds what an answer depends on."""

import numpy as np
import pytest
import torch

from minigpt.experiments.gpt4 import held_out_pictures, occlusion
from minigpt.worlds import held_out_shapes, shapes
from minigpt.worlds.shapes import Picture

PICTURE = Picture((("green", "square"), ("red", "circle"), ("blue", "cross"), ("yellow", "triangle")))
pytestmark = pytest.mark.slow


class Says(torch.nn.Module):
    """Answers by a rule of its own: rule(image (16, 16, 3), text) -> word, with probability `p`."""

    def __init__(self, rule, p=0.9):
        super().__init__()
        self.rule, self.p = rule, p

    def forward(self, images, ids):
        words = shapes.vocabulary()
        logits = torch.zeros(len(ids), 1, len(words), dtype=torch.float64)
        for i, row in enumerate(ids.tolist()):
            text = " ".join(words[each] for each in row[1:] if each != 1)
            word = self.rule(None if images is None else images[i].numpy(), text)
            rest = (1 - self.p) / (len(words) - 1)
            logits[i] = np.log(rest)
            logits[i, 0, words.index(word)] = np.log(self.p)
        return logits


def colour_at(image, place):
    row, column = 8 * (place // 2), 8 * (place % 2)
    pixels = image[row : row + 8, column : column + 8].reshape(-1, 3)
    strong = pixels[pixels.max(axis=1) > 0.5]
    near = {name: np.abs(pixels.max(axis=0) - rgb).sum() for name, rgb in shapes.COLOURS.items()}
    return min(near, key=near.get) if len(strong) else "red"


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


def test_the_occlusion_map_is_large_where_the_answer_is_read_and_nought_elsewhere():
    model = Says(lambda image, text: colour_at(image, 3))
    for size, side in ((4, 4), (8, 2)):
        found = occlusion.occlusion_map(model, PICTURE, "what colour is the triangle", "yellow", size)
        assert found.shape == (side, side)
        assert occlusion.by_place(found)[:3] == pytest.approx(0)
    gone = np.log(0.9) - np.log(0.1 / (len(shapes.vocabulary()) - 1))
    assert found[1, 1] == pytest.approx(gone)  # without the triangle it says "red"


@pytest.mark.parametrize(("aside", "share"), [(0, 1.0), (1, 0.0)])
def test_the_table_says_how_often_the_largest_drop_is_at_the_thing_asked_for(monkeypatch, aside, share):
    asked = occlusion.pictures_of_four(6)
    assert len({p for p, *_ in asked}) > 1 and all(p.things[place][0] == answer for p, _, answer, place in asked)
    for one in asked:
        row, column = divmod((one[3] + aside) % 4, 2)  # an answer that is right as long as something is at this place

        def looks(image, text, answer=one[2], row=row, column=column):
            return answer if (image[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] > 0.5).any() else "?"

        maps = np.full((2, 4, 4), 0.05)  # the first block attends to all places alike, the second to this one alone
        maps[1] = 0
        maps[1, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 0.1
        monkeypatch.setattr(occlusion, "attention_map", lambda *_, maps=maps: maps)
        monkeypatch.setattr(occlusion, "pictures_of_four", lambda n, one=one: [one])
        found = occlusion.numbers(Says(looks), 1)
        assert found["largest drop is at the thing asked for"] == share
        assert (found["drop of log p, at the thing asked for"] > 1) == bool(share)
        assert found["share of attention, block 1"] == pytest.approx(0.25)
        assert found["share of attention, block 2"] == pytest.approx(share)
        assert found["most attention is at the thing asked for, block 2"] == share


def test_places_are_summed_from_patches():
    squares = np.arange(16.0).reshape(4, 4)
    np.testing.assert_allclose(occlusion.by_place(squares), [10, 18, 42, 50])
