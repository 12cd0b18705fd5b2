"""The settings beside the paper's: every difference is named."""

from minigpt.experiments.gpt1 import settings


def test_every_difference_from_the_paper_is_named_with_its_reason():
    rows = settings.differences()
    assert all(len(row) == 4 and all(row) and row[1] != row[2] for row in rows)
    here = {what: (paper, ours) for what, paper, ours, _ in rows}
    assert here["blocks"] == ("12", "2") and here["tokens a batch"] == ("32,768", "512")
    assert here["fine-tuning: passes"] == ("3", "80 to 7")  # 80 updates of 16 of 16 labels, 420 of 16 of 1,024
    assert here["fine-tuning: weight λ of L1"] == ("0.5", "0.0")
