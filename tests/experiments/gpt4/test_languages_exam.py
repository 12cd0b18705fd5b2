"""Seven languages and an exam: what is shared, what is asked, and a student who knows everything or nothing."""

import numpy as np
import pytest
import torch

from minigpt.experiments.gpt4 import languages_exam
from minigpt.worlds import languages as language_world


@pytest.fixture(scope="module")
def world():
    return language_world.draw_world(3)


def test_who_knows_passes_and_who_guesses_is_right_in_one_case_of_four(world):
    class Student(torch.nn.Module):
        def __init__(self, knows):
            super().__init__()
            self.knows = knows

        def forward(self, ids):
            logits = torch.rand(*ids.shape, world.n_vocab, generator=torch.Generator().manual_seed(int(ids[0, 0])))
            if self.knows:
                right = torch.from_numpy(world.exam(int(ids[0, 0]) - 1, np.random.default_rng(9))[1][:, 0])
                logits[torch.arange(len(ids)), -1, right] = 2.0
            return logits

    assert set(languages_exam.scores(Student(True), world).values()) == {1.0}
    assert np.mean(list(languages_exam.scores(Student(False), world).values())) == pytest.approx(0.25, abs=0.04)
