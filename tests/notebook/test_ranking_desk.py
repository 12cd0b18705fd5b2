"""The labeler's desk: orders by clicks and by words, and what is said of an order that is none."""

import re

import pytest
from matplotlib.figure import Figure

from minigpt.notebook import ranking_desk


def desk(**changes):
    seen = []

    def learn(rankings):
        seen.append(list(rankings))
        return Figure(), f"learned from {len(rankings)}"

    tasks = [("Write:", ["one", "two", "three"]), ("Tell:", ["four", "five"])]
    built = ranking_desk.RankingDesk(
        **{"tasks": tasks, "learn": learn, "recorded": [(1, 2, 3)], "description": "rank answers, best first"} | changes
    )
    return built, seen


def test_ranking_by_clicks_and_by_words():
    built, seen = desk()
    assert seen == [[(1, 2, 3)]] and built.alt == "learned from 1"  # the recorded one, while nobody clicked
    for number in (2, 0, 0, 1):  # the second click on the same answer does nothing
        built.buttons[number].click()
    assert built.made == [(2, 3, 1)] and "Request 2 of 2" in built.request.value
    assert built.buttons[2].layout.display == "none"
    built.typed.value = "2 = 1"
    assert built.made[-1] == (1, 1) and "All requests" in built.request.value and built.buttons[0].disabled
    assert seen[1:] == [[(2, 3, 1)], [(2, 3, 1), (1, 1)]] and built.alt == "learned from 2"  # after every ranking


def test_a_ranking_that_is_none_is_answered_in_words():
    built, _ = desk()
    for wrong in ("1 2", "1 2 2", "9 1 2", "best one", "3<1<2", "1/2/3", "321", "="):
        with pytest.raises(ValueError, match="best first"):
            built.rank(wrong)
        built.typed.value = wrong
        assert built.made == [] and "alert" in built.status.value
    assert built.rank("3 > 1 > 2") == (2, 3, 1)


@pytest.mark.parametrize("order", ["3，1，2", "3、1、2", "3-1-2", "3–1–2", "3; 1; 2", "3；1；2", "３＞１＞２", "3。1。2"])
def test_an_order_typed_on_any_keyboard_is_understood(order):
    built, _ = desk()
    built.typed.value = order
    assert built.made == [(2, 3, 1)]


def test_an_answer_can_be_read_from_its_beginning_on_a_narrow_screen():
    """A button of ipywidgets has one line in its middle; where it is too narrow, the rest of its words is cut off."""
    built, _ = desk()
    for order in ("", "1 2 3", "1 2"):  # before, between, and when all is ranked
        if order:
            built.rank(order)
        (rule,) = re.findall(r"<style>button\.([\w-]+)\.jupyter-button {(.*?)}</style>", built.request.value)
        assert "white-space: normal" in rule[1] and "text-align: left" in rule[1]
        assert all(rule[0] in button._dom_classes and button.layout.height == "auto" for button in built.buttons)


def test_an_error_while_learning_is_shown_to_the_reader():
    built, _ = desk()
    built.learn = lambda rankings: 1 / 0
    built.rank("1 2 3")
    assert "alert" in built.status.value and "ZeroDivisionError" in built.status.value


def test_starting_again_and_what_is_saved():
    built, _ = desk()
    built.buttons[1].click()
    assert built.order == [1] and built.buttons[1].description.startswith("[1]")
    built.again.click()
    assert built.order == [] and built.buttons[1].description == "2. two"
    bundle, metadata = built._repr_mimebundle_()
    assert bundle["text/plain"] == "RankingDesk: rank answers, best first" and "rank answers" in bundle["text/html"]
    for wrong in ({"tasks": []}, {"tasks": [("a", ["one"])]}, {"recorded": [(1, 2)]}):
        with pytest.raises(ValueError, match="expected"):
            desk(**wrong)


def test_more_recorded_rankings_than_tasks_are_refused():
    with pytest.raises(ValueError, match="at most 1 recorded"):
        ranking_desk.RankingDesk([("q", ["a", "b"])], lambda _: None, [(1, 2), (2, 1)], "a desk with one task alone")
