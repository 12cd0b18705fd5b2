"""Training on the reader's own text: what is chosen by the text, what is refused before training, what is reported."""

import math
import random
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch

from minigpt import train
from minigpt.experiments import dataset, own_text
from minigpt.experiments.dataset import N_VOCAB
from minigpt.tokenizer import train_bpe


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of each test's own."""
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def story():
    return "\n".join(dataset.story_dataset(60, 2).documents)


def write(path, text):
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def numbers(report):
    """The table of a report: name -> (nats per token, nats per character, bits per byte)."""
    rows = [re.fullmatch(r"(\w.*?)  +([\d.]+) +([\d.]+) +([\d.]+)", line) for line in report.splitlines()]
    return {row[1]: tuple(map(float, row.groups()[1:])) for row in rows if row}


@pytest.mark.slow
def test_a_text_is_learned_and_the_loss_is_that_of_its_last_tenth(tmp_path, story):
    path = write(tmp_path / "mine.txt", story)
    short, longer = (own_text.train_on_text(path, n_steps=n) for n in (8, 40))
    assert longer.nats < short.nats < 1.2 * short.uniform and not short.model.training
    cut = len(story) * 9 // 10
    tokenizer, ids = short.tokenizer, short.tokenizer.encode(story[cut:])
    assert short.held_out.tolist() == ids and short.model.config.n_vocab == tokenizer.n_vocab
    assert tokenizer.decode(tokenizer.encode("été")) == "été"
    nats = 0.0
    with torch.no_grad():
        for at in range(0, len(ids) - 1, 64):
            logps = short.model(torch.tensor([ids[at : at + 64]]))[0].double().log_softmax(-1)
            nats -= sum(logps[i, token].item() for i, token in enumerate(ids[at + 1 : at + 65]))
    assert short.nats == pytest.approx(nats, rel=1e-5)
    counts = Counter(tokenizer.encode(story[:cut]))
    total = sum(counts.values()) + tokenizer.n_vocab
    assert short.unigram == pytest.approx(-sum(math.log((counts[i] + 1) / total) for i in ids[1:]))
    assert short.uniform == pytest.approx(len(ids[1:]) * math.log(tokenizer.n_vocab))


def test_a_second_call_loads_the_model(tmp_path, story, monkeypatch):
    path = write(tmp_path / "mine.txt", story)
    first = own_text.train_on_text(path, n_steps=2)

    def refuse(*arguments, **options):
        raise AssertionError("trained again")

    monkeypatch.setattr(train, "train", refuse)
    assert own_text.train_on_text(path, n_steps=2).nats == first.nats
    for other in ({"n_steps": 3}, {"n_steps": 2, "seed": 1}):
        with pytest.raises(AssertionError, match="trained again"):
            own_text.train_on_text(path, **other)
    write(path, story + "!")
    with pytest.raises(AssertionError, match="trained again"):
        own_text.train_on_text(path, n_steps=2)


def test_a_report_gives_the_loss_in_three_units_beside_two_baselines(tmp_path):
    text = "".join(random.Random(0).choices("äö一b ", k=4000))  # letters of one, two and three bytes
    trained = own_text.train_on_text(write(tmp_path / "mine.txt", text), n_steps=2)
    found = numbers(trained.report())
    read = trained.tokenizer.decode(trained.held_out[1:].tolist())
    n_characters, n_bytes = len(text[len(text) * 9 // 10 :]), len(text[len(text) * 9 // 10 :].encode())
    assert abs(len(read) - n_characters) <= 9
    for name, nats in (("uniform (knows nothing)", trained.uniform), ("unigram (knows frequencies)", trained.unigram),
                       ("the model", trained.nats)):  # fmt: skip
        per_token, per_character, per_byte = found[name]
        assert per_token == pytest.approx(nats / (len(trained.held_out) - 1), abs=6e-4)
        assert per_character == pytest.approx(nats / n_characters, rel=0.03)
        assert per_byte == pytest.approx(nats / n_bytes / math.log(2), rel=0.03)
    assert "The model knows no more than frequencies" in trained.report()  # after two steps


@pytest.mark.parametrize("n_characters", [30, 400, 500, 700, 1000, 2000])
def test_a_short_text_gets_a_shorter_context_or_is_refused_before_training(tmp_path, story, n_characters, monkeypatch):
    """Fault B1: 500 to 2,000 characters were trained to the end, then refused."""
    path = write(tmp_path / "short.txt", story[:n_characters])
    if n_characters < 100:
        monkeypatch.setattr(train, "train", None)
        with pytest.raises(ValueError, match=r"at least \d+ characters .*; got 30 in .*short\.txt") as error:
            own_text.train_on_text(path)
        needed = int(re.search(r"at least (\d+)", str(error.value))[1])
        monkeypatch.undo()
        monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path / "cache"))
        own_text.train_on_text(write(path, (story[:30] * 10)[: 2 * needed]), n_steps=1)
        return
    trained = own_text.train_on_text(path, n_steps=1)
    assert trained.model.config.n_ctx in own_text.CONTEXTS and trained.model.config.n_ctx < len(trained.held_out)
    assert trained.sample().startswith(trained.tokenizer.decode(trained.held_out[:4].tolist()))


def test_the_vocabulary_follows_from_the_text():
    assert own_text.vocabulary_size("the quick brown fox jumps over a lazy dog " * 3000) == 260 + 16 * 27
    english = "".join(chr(33 + i % 90) for i in range(90_000))
    assert own_text.vocabulary_size(english) == N_VOCAB
    assert own_text.vocabulary_size(english[:10_000]) == 260 + 200
    assert own_text.vocabulary_size("ACGT" * 50_000) == 260 + 64
    chinese = "".join(chr(0x4E00 + i % 1000) for i in range(50_000))
    assert own_text.vocabulary_size(chinese) == N_VOCAB + 2000
    assert own_text.vocabulary_size("".join(chr(0x4E00 + i % 3000) for i in range(90_000))) == 4096


def test_chinese_is_not_cut_into_bytes(tmp_path):
    """Fault C2: with 1,024 entries and a thousand letters the tokens were bytes."""
    letters = [chr(0x4E00 + i) for i in range(300)]
    text = "。".join("".join(random.Random(i).choices(letters, k=9)) for i in range(1000))
    trained = own_text.train_on_text(write(tmp_path / "chinese.txt", text), n_steps=1)
    assert len(trained.held_out) < 1.5 * len(text) / 10


def test_a_long_text_without_blanks_is_cut_into_pieces(tmp_path):
    text = "".join(random.Random(0).choices("ACGT", k=3000))
    assert "".join(own_text._pieces(text)) == text and max(map(len, own_text._pieces(text))) <= own_text.LONGEST_WORD
    assert own_text._pieces("a b c\n" * 500) == ["a b c\n" * 500]
    trained = own_text.train_on_text(write(tmp_path / "dna.txt", text), n_steps=1)
    assert trained.tokenizer.decode(trained.held_out.tolist()) == text[2700:]


def test_the_vocabulary_is_learned_in_sight_and_is_that_of_the_tokenizer_module(story, monkeypatch):
    seen = []

    def watch(steps, total, label):
        for step in steps:
            seen.append((total, label))
            yield step

    monkeypatch.setattr(own_text, "progress", watch)
    n_vocab = own_text.vocabulary_size(story)
    assert own_text._train_tokenizer(story) == train_bpe([story], n_vocab)
    assert seen == [(n_vocab - 260, "vocabulary")] * (n_vocab - 260)


def test_a_path_is_what_was_meant(tmp_path, monkeypatch, story):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    write(tmp_path / "mine.txt", story)
    wanted = tmp_path / "mine.txt"
    for path in ("~/mine.txt", wanted, str(wanted), f'  "{wanted}" '):
        assert own_text.expand(path) == wanted
    for wrong in ("C:\temp\new.txt", "C:\1.txt"):  # \t, \n and \1 as Python reads them
        with pytest.raises(ValueError, match=r'Write a path with backslashes as r"C:'):
            own_text.train_on_text(wrong)
    with pytest.raises(ValueError, match="got an empty one"):
        own_text.train_on_text("")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        own_text.train_on_text("~/nowhere.txt")


@pytest.mark.slow
def test_one_command_trains_and_says_what_it_found(tmp_path, story):
    write(tmp_path / "mine.txt", story)
    command = [sys.executable, "-m", "minigpt.experiments.own_text", str(tmp_path / "mine.txt"), "--steps", "3"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8").stdout
    assert said.startswith("vocabulary: ") and set(numbers(said)) >= {"the model", "uniform (knows nothing)"}
    assert len(said.split("It writes:\n")[1]) > 20
    write(tmp_path / "mine.txt", "Hello.")
    refused = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert refused.returncode == 1 and "expected a text of at least" in refused.stderr and not refused.stdout


def test_a_model_of_the_command_is_tied_to_the_code(monkeypatch):
    """A module run with -m calls itself __main__; its key is that of the module all the same."""
    from minigpt.experiments import cache

    monkeypatch.setattr(sys.modules["__main__"], "__spec__", own_text.__spec__)
    assert cache.code_key("__main__") == cache.code_key("minigpt.experiments.own_text") != ""
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    assert cache.code_key("__main__") == ""


def test_held_out_ids_are_numbers_for_a_model(story):
    ids = own_text.encode("", own_text._train_tokenizer(story[:2000]))
    assert ids.shape == (0,) and ids.dtype == np.int64


def test_a_home_folder_that_does_not_exist_is_refused_in_words():
    with pytest.raises(ValueError, match="no home folder"):
        own_text.expand("~nosuchuser1/my.txt")
