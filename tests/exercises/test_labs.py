"""The checks of the labs know right from wrong, and say what is wrong."""

import torch
from exercising import grouped, named_checks
from torch import nn

from minigpt.exercises import labs
from minigpt.tokenizer import MergeStep, merge_steps


def loop(words, n, weighted=True, rebuild=True, choose=max, token=lambda left, right: left + right):
    """Merges by hand, on strings of pieces; the arguments make the mistakes."""
    made, words = [], [(list(word), count) for word, count in words.items()]
    gone = set()
    for _ in range(n):
        counts = {}
        for word, count in words:
            for pair in zip(word, word[1:]):
                if pair not in gone:
                    counts[pair] = counts.get(pair, 0) + (count if weighted else 1)
        left, right = choose(counts, key=counts.get)
        made.append(token(left, right))
        if not rebuild:
            gone.add((left, right))
            continue
        for word, _ in words:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == (left, right):
                    word[i : i + 2] = [left + right]
                i += 1
    return made


def cell(x, h, c, W, U, b, order="ifgo", g_of=torch.tanh, forget=True, out=torch.tanh, swap=False, old=False):
    z = dict(zip(order, (W @ x + U @ h + b).split(len(x))))
    new = torch.sigmoid(z["f"]) * c if forget else c
    new = new + torch.sigmoid(z["i"]) * g_of(z["g"])
    h = torch.sigmoid(z["o"]) * out(c if old else new)
    return (new, h) if swap else (h, new)


def torch_cell(x, h, c, W, U, b):
    layer = nn.LSTMCell(len(x), len(x))
    with torch.no_grad():
        for p, value in zip((layer.weight_ih, layer.weight_hh, layer.bias_ih, layer.bias_hh), (W, U, b, torch.zeros_like(b))):
            p.copy_(value)
        return tuple(each[0] for each in layer(x[None], (h[None], c[None])))


RIGHT = {"bpe_merge_loop": [loop], "lstm_cell": [cell, torch_cell]}

WRONG = [
    ("bpe_merge_loop", lambda words, n: loop(words, n, rebuild=False), "rebuild the words"),
    ("bpe_merge_loop", lambda words, n: loop(words, n, weighted=False), "use the counts"),
    ("bpe_merge_loop", lambda words, n: loop(words, n, choose=min), "rarest pair"),
    ("bpe_merge_loop", lambda words, n: loop(words, n, token=lambda left, right: (left, right)), "returned pairs"),
    ("bpe_merge_loop", lambda words, n: loop(words, n)[::-1], "the order matters"),
    ("bpe_merge_loop", lambda words, n: loop(words, n)[:-1] or [b""] * 3, "one for each merge"),
    ("bpe_merge_loop", lambda words, n: [str(each) for each in loop(words, n)], "each of them bytes"),
    ("bpe_merge_loop", lambda words, n: loop(words, n, token=lambda left, right: right + left), "should make"),
    ("bpe_merge_loop", lambda words, n: 5, "expected a list"),
    ("lstm_cell", lambda *a: cell(*a, swap=True), "wrong way round"),
    ("lstm_cell", lambda *a: cell(*a, order="ifog"), "order i, f, g, o"),
    ("lstm_cell", lambda *a: cell(*a, g_of=torch.sigmoid), "no sigmoid"),
    ("lstm_cell", lambda *a: cell(*a, forget=False), "forget gate"),
    ("lstm_cell", lambda *a: cell(*a, out=lambda c: c), "tanh is missing"),
    ("lstm_cell", lambda *a: cell(*a, old=True), "from the new c"),
    ("lstm_cell", lambda x, h, c, W, U, b: cell(x, 0 * h, c, W, U, b), "previous h"),
    ("lstm_cell", lambda x, h, c, W, U, b: cell(x, h, c, W, U, 0 * b), "bias"),
    ("lstm_cell", lambda *a: cell(*a)[0], "expected two tensors"),
    ("lstm_cell", lambda *a: tuple(each[:, None] for each in cell(*a)), "got shapes"),
    ("lstm_cell", lambda *a: tuple(2 * each for each in cell(*a)), "should be"),
]


def test_the_merges_are_those_of_the_tokenizer():
    words = {tuple(bytes([byte]) for byte in word): count for word, count in ((b"hat", 3), (b"cat", 2), (b"hats", 1))}
    text = " ".join(b"".join(word).decode() for word, count in words.items() for _ in range(count))
    # without the blanks that the tokenizer puts before a word: a line for each
    steps = list(merge_steps(text.split(), 3))
    assert all(isinstance(step, MergeStep) for step in steps)
    assert loop(words, 2) == [step.merged for step in steps[:2]] == [b"at", b"hat"]


globals().update(named_checks(labs, RIGHT, grouped(WRONG)))


def test_an_lstm_cell_that_writes_into_its_inputs_is_still_told_its_slip():
    def cell(x, h, c, W, U, b):
        i, f, g, o = (W @ x + U @ h + b).chunk(4)
        c *= f.sigmoid()
        c += i.sigmoid() * g.tanh()
        return o.sigmoid() * c, c

    assert "tanh is missing" in labs.lstm_cell.verdict(cell)[1]
