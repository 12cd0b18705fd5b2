"""Planted documents stand in the text as often as they should."""

import pytest

from minigpt.experiments.gpt2 import memorisation


@pytest.mark.slow
def test_planted_documents_stand_in_the_training_text_so_many_times(monkeypatch):
    monkeypatch.setattr(memorisation, "N_BASE", 600)
    data, times = memorisation.planted(3)
    assert sorted(set(times.tolist())) == [0, *memorisation.TIMES]
    for text, n in zip(data.held_out, times):
        assert data.documents.count(text) >= n
    assert len(data.documents) == memorisation.N_BASE + memorisation.N_EACH * sum(memorisation.TIMES)
    other, again = memorisation.planted(4)[1], memorisation.planted(3)[1]
    assert (times == again).all() and not (times == other).all()
