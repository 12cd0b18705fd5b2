"""Pictures, the answers about them, and where the model looked."""

import numpy as np
import pytest
from charts import ANSWERS, IMAGE, words

from minigpt import plots


def test_where_a_model_looks_is_written_in_per_cent_and_the_rest_washed_out():
    weights = np.zeros((4, 4))
    weights[1, 2], weights[0, 0] = 0.4, 0.1
    figure = plots.image_answers(np.zeros((16, 16, 3)), [weights], ANSWERS, " forest")
    seen, looked, bars = figure.axes
    assert {text.get_text() for text in looked.texts} == {"40", "10"} and not seen.texts
    shown = looked.images[0].get_array()
    assert shown[4, 8].max() < 0.01 and shown[15, 15].min() > 0.8
    assert [tick.get_text() for tick in bars.get_yticklabels()] == [" forest", " sea", " mill"]
    assert "nothing" in words(plots.image_answers(None, [], ANSWERS))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.image_answers(IMAGE, [], []), "at least one answer"),
        (lambda: plots.image_answers(IMAGE, [np.ones((3, 4))], ANSWERS), "divide a picture"),
        (lambda: plots.pictures([], []), "got 0 and 0"),
        (lambda: plots.pictures([IMAGE], ["a", "b"]), "got 1 and 2"),
    ],
)
def test_bad_images_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
