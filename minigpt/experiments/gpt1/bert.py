"""Chapter 01, the section on BERT and its lab: masked pre-training of the same Transformer, beside GPT-1.

The table data/measured/gpt1/bert.csv has a row for each seed, quantity, reader, number of labels and step. Quantities
"article" and "place" are the surprisal of a hidden word in nats, normalised over the words it could be, for readers of
one side and of both (the model BERT at every snapshot); "article, a" and "article, an" the same where that is the
answer. The names of the four tasks are accuracies after fine-tuning BERT, on the test examples of gpt1/finetuning.
Stored: BERT was pre-trained on an NVIDIA H200 (five seeds side by side, four minutes), and asked and fine-tuned on a
CPU, a few minutes a seed; six of its twelve snapshots are in the table, and nothing of its training loss.
"""

import functools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from minigpt import loss, train
from minigpt.batches import DocumentBatches, evaluation_batches
from minigpt.corpus import encode
from minigpt.exact.ngram import NGram
from minigpt.experiments import dataset, measured, pretraining
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt1 import finetuning
from minigpt.experiments.gpt1.finetuning import FineTuning
from minigpt.experiments.pretraining import Pretrained
from minigpt.experiments.sizes import BERT, BERT_PRETRAINING, BERT_TOKENS_PER_BATCH
from minigpt.model import GPT
from minigpt.worlds import grammar, lexicon, stories

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "quantity", "reader", "n_labels", "step")
READERS = (
    "truth from the left", "truth from both sides", "GPT, left to right", "GPT, by Bayes' rule",
    "bigram, by Bayes' rule", "BERT",
)  # fmt: skip
LABELS = (16, 64, 256, 1024)  # as in the main plan of gpt1/finetuning


# --- masked pre-training ----------------------------------------------------------------------------------------------


class MaskedBatches:
    """Batches for masked language modelling: (inputs with hidden tokens, which positions are text, what was hidden).

    Which tokens of a batch are hidden depends on the seed and on the number of the step alone.

    Shapes: batches[step] is three tensors (B, T): masked ids; False for padding; the hidden tokens, -100 elsewhere.
    Source: BERT, section 3.1, task 1. Differs: no next-sentence task; the symbol [MASK] is our delim token; hidden anew
    in each pass over the text.
    """

    def __init__(self, batches: DocumentBatches, mask_id: int, n_vocab: int, padding: int, seed: int):
        self.batches, self.mask_id, self.n_vocab, self.padding, self.seed = batches, mask_id, n_vocab, padding, seed

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.batches)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        inputs, targets = map(torch.as_tensor, self.batches[step])
        seed = np.random.SeedSequence([self.seed, step]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(seed))
        masked, hidden = loss.mask_tokens(inputs, self.mask_id, self.n_vocab, generator, protect=(self.padding,))
        return masked, targets != loss.IGNORED, hidden


def masked_loss(bert: GPT, masked: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
    """Masked language modelling loss of BERT: minus the mean log-probability of the hidden tokens, for `train.train`.

    Logits are computed where a token is hidden, and nowhere else: that halves the time and changes nothing.

    Shapes: as a batch of `MaskedBatches`. Unit: nats per hidden token. Source: BERT, section 3.1, task 1.
    """
    asked = hidden != loss.IGNORED  # (B, T)
    logits = bert.logits(bert.hidden(masked, visible=visible)[asked])  # (n asked, V)
    return loss.lm_loss(logits[None], hidden[asked][None])


def pretrain_masked(
    data: Dataset,
    seed: int = 0,
    n_steps: int | None = None,
    tokens_per_batch: int = BERT_TOKENS_PER_BATCH,
    training: train.TrainConfig = BERT_PRETRAINING,
) -> Pretrained:
    """Masked pre-training: the Transformer of GPT-1 without the causal mask, as BERT, on the same documents.

    `tokens` of the result counts the hidden tokens, those that BERT was asked. Settings: experiments/sizes.py.
    """
    masking = functools.partial(
        MaskedBatches, mask_id=data.tokenizer.delim, n_vocab=BERT.n_vocab, padding=data.tokenizer.endoftext, seed=seed
    )
    return pretraining.pretrain(
        data, BERT, seed, n_steps or training.n_steps, training, masked_loss, "masked pre-training", n_watched=12,
        tokens_per_batch=tokens_per_batch, warmup_steps=training.warmup_steps, prepare=masking,
    )  # fmt: skip


# --- hidden words -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HiddenWord:
    """A document in which one word is to be guessed."""

    before: str
    word: str
    after: str
    candidates: tuple[str, ...]  # the words it could be
    weight: float  # how often the word is the answer in the story world, divided by how often in these examples

    @property
    def answer(self) -> int:
        """The number of the right candidate."""
        return self.candidates.index(self.word)

    @property
    def texts(self) -> list[str]:
        """The whole document with each candidate in the word's place."""
        return [self.before + word + self.after for word in self.candidates]


def hidden_examples(what: str, n: int) -> list[HiddenWord]:
    """Documents with one word to be guessed, n in all: every answer equally often, weighted as in the story world.

    "place": "Tom the fox went to the ▢. It was good to be home. ..."; "article": "Once upon a time there was ▢ old hen
    named ...". One article in sixteen or so is "an": among 100 documents drawn at random there would be about six.
    Errors: another `what`, or an n that is no multiple of the number of answers, is a ValueError.
    """
    ways = {
        "place": ({"walks": 1.0}, " went to the", tuple(f" {place.name}" for place in lexicon.PLACES)),
        "article": ({"story": 1.0}, "Once upon a time there was", (" a", " an")),
    }
    if what not in ways:
        raise ValueError(f"expected one of {sorted(ways)}; got {what!r}")
    mix, marker, candidates = ways[what]
    if n < 1 or n % len(candidates):
        raise ValueError(f"expected a multiple of {len(candidates)} examples, the number of answers; got {n}")
    share = dict.fromkeys(candidates, 1 / len(candidates))  # every place is home to as many animals
    if what == "article":
        share = grammar.predict(stories.program(mix), marker).next_word
    rng, found, left = random.Random(f"hidden {what}"), [], dict.fromkeys(candidates, n // len(candidates))
    while any(left.values()):
        (text,) = stories.documents(1, rng, mix)
        if marker not in text:
            continue
        cut = text.index(marker) + len(marker)
        word = grammar.words(text[cut:])[0]
        if left[word]:
            left[word] -= 1
            weight = share[word] * len(candidates)
            found.append(HiddenWord(text[:cut], word, text[cut + len(word) :], candidates, weight))
    return found


def by_bayes(nats: np.ndarray) -> np.ndarray:
    """Bayes' rule: what a model of whole texts knows of a hidden word, from both sides.

        P(w | before, after) = P(before w after) / sum over candidates v of P(before v after)

    One pass over the whole text for every candidate is its price.

    Shapes: nats (..., C), -log P of the text with each candidate; result (..., C), which adds to 1. Unit: nats.

    >>> by_bayes(np.array([7.0, 7.0 + np.log(3)])).round(3).tolist()
    [0.75, 0.25]
    """
    return np.exp(-nats - np.logaddexp.reduce(-nats, axis=-1, keepdims=True))


def belief(reader: str, model, data: Dataset, examples: Sequence[HiddenWord]) -> np.ndarray:
    """Distribution of a reader over the candidates of each hidden word; what it gives to other words is left out.

    reader: one of READERS. model: the trained GPT, BERT or NGram of that name; the two truths need none.

    Shapes: result (n, C), rows adding to 1. Errors: an unknown reader or a candidate of several tokens: ValueError.
    """
    if reader not in READERS:
        raise ValueError(f"expected one of {READERS}; got {reader!r}")
    if reader == "truth from the left":
        told = [grammar.predict(data.program, example.before).next_word for example in examples]
        found = np.array([[each.get(word, 0.0) for word in ex.candidates] for each, ex in zip(told, examples)])
        return found / found.sum(axis=1, keepdims=True)
    texts = [text for example in examples for text in example.texts]
    shape = len(examples), -1
    if reader == "truth from both sides":
        return by_bayes(np.array([-grammar.score(data.program, text).logp for text in texts]).reshape(shape))
    if reader == "bigram, by Bayes' rule":
        return by_bayes(model.nats(encode(texts, data.tokenizer)).reshape(shape))
    if reader == "GPT, by Bayes' rule":
        return by_bayes(text_nats(model, data, texts).reshape(shape))
    return _in_one_pass(model, data, examples)


def text_nats(gpt: GPT, data: Dataset, texts: Sequence[str]) -> np.ndarray:
    """-log P of whole documents under a left-to-right model, the end included. Shapes: (n,). Unit: nats."""
    reading = evaluation_batches(encode(texts, data.tokenizer), data.tokenizer, gpt.config.n_ctx, 4096)
    return train.evaluate(gpt, reading).document_nats


@torch.no_grad()
def _in_one_pass(model: GPT, data: Dataset, examples: Sequence[HiddenWord]) -> np.ndarray:
    """One forward pass: GPT stops before the hidden word, BERT reads all of the text with [MASK] in its place."""
    words, mask, end = data.tokenizer.encode, data.tokenizer.delim, data.tokenizer.endoftext
    found, causal = [], model.config.causal
    for example in examples:
        candidates = [words(word) for word in example.candidates]
        if any(len(ids) != 1 for ids in candidates):
            raise ValueError(f"expected candidates of one token each; got {dict(zip(example.candidates, candidates))}")
        before = [end, *words(example.before)]
        ids, place = (before, -1) if causal else ([*before, mask, *words(example.after)], len(before))
        logits = model.logits(model.hidden(torch.tensor([ids]))[0, place])  # (V,)
        found.append(logits[[id for (id,) in candidates]].double().softmax(-1).cpu().numpy())
    return np.array(found)


def surprisal(told: np.ndarray, examples: Sequence[HiddenWord], answer: str | None = None) -> float:
    """Mean surprisal of the hidden words: -log of what a reader gave to the right candidate.

    Weighted, so that each answer counts as often as it comes in the story world; or only where it is `answer`.

    Shapes: told (n, C), from `belief`. Unit: nats.
    """
    nats = np.array([-np.log(row[example.answer]) for row, example in zip(told, examples)])
    if answer is not None:
        return float(nats[[example.word == answer for example in examples]].mean())
    return float(np.average(nats, weights=[example.weight for example in examples]))


def hidden_word(
    gpt: GPT, bert: GPT, data: Dataset, examples: Sequence[HiddenWord], bigram: NGram | None = None
) -> dict[str, float]:
    """Surprisal of a hidden word for every reader, normalised over the candidates: READERS -> nats.

    "truth from the left" is -log P(word | what stands before) by the grammar, "truth from both sides" -log P(word |
    before and after); "GPT, left to right" stops before the word; "GPT, by Bayes' rule" scores the whole text with each
    candidate; "bigram, by Bayes' rule", if there is one, does the same; "BERT" reads both sides, with [MASK] in the
    word's place. Unit: nats, the weighted mean of the examples.
    """
    models = dict(zip(READERS, (None, None, gpt, gpt, bigram, bert)))
    readers = [reader for reader in READERS if bigram is not None or not reader.startswith("bigram")]
    return {reader: surprisal(belief(reader, models[reader], data, examples), examples) for reader in readers}


# --- two conditionals that need not agree -----------------------------------------------------------------------------


@torch.no_grad()
def odds_ratios(bert: GPT, data: Dataset, n: int = 50) -> np.ndarray:
    """Log odds ratios of two words, a name and an animal, from BERT's P(name | animal) and from its P(animal | name).

    "Anna the monkey went to the jungle. She knew every corner of it.": with two names of one pronoun and two animals of
    one home, all four texts are equally likely, so that the true odds ratio is 1 and its logarithm 0, whichever
    conditional it is taken from. A joint distribution gives one number twice.

    Shapes: result (n, 2). Unit: nats.
    """
    rng, words, mask, end = random.Random("odds"), data.tokenizer.encode, data.tokenizer.delim, data.tokenizer.endoftext
    people = {each.name: each for each in lexicon.CHARACTERS}
    living = {place.name: lexicon.LEXICON.animals_living(place.name) for place in lexicon.PLACES}
    found = []
    while len(found) < n:
        (text,) = stories.documents(1, rng, {"walks": 1.0})
        name, _, animal, rest = text.split(" ", 3)
        home = rest.removeprefix("went to the ").split(".")[0]
        others = [each.name for each in living[home] if each.name != animal]
        names = [each for each in people if people[each].pronoun == people[name].pronoun and each != name]
        names, animals = (name, rng.choice(names)), (animal, rng.choice(others))
        pairs = [(words(names[i]), words(f" {animals[j]}")) for i in range(2) for j in range(2)]
        if len(others) == 3 or any(len(ids) != 1 for pair in pairs for ids in pair):
            continue  # not at home, or a word of several tokens
        the, after = words(" the"), words(" " + rest)
        first, second = [a for (a,), _ in pairs[::2]], [b for _, (b,) in pairs[:2]]
        ids = [[end, mask, *the, b, *after] for b in second] + [[end, a, *the, mask, *after] for a in first]
        h = bert.hidden(torch.tensor(ids))
        of_names = bert.logits(h[:2, 1])[:, first].double()  # (animal, name)
        of_animals = bert.logits(h[2:, 2 + len(the)])[:, second].double()  # (name, animal)
        found.append([(t[0, 0] - t[0, 1] - t[1, 0] + t[1, 1]).item() for t in (of_names, of_animals)])
    return np.array(found)


# --- the table --------------------------------------------------------------------------------------------------------


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    for where, value in measure(dataset.story_dataset(), seed):
        yield dict(zip(KEY, (seed, *where)), value=f"{value:.4f}")


def measure(
    data: Dataset,
    seed: int,
    n_articles: int = 100,
    n_places: int = 400,
    n_ratios: int = 50,
    labels: tuple = LABELS,
    n_test: int = 500,
) -> Iterator[tuple]:
    """Everything that is measured of one seed: ((quantity, reader, labels, step), value)."""
    gpt, masked = pretraining.pretrain(data, seed=seed), pretrain_masked(data, seed)
    last, end = int(gpt.steps[-1]), int(masked.steps[-1])
    bigram = NGram(data.corpus, 2, BERT.n_vocab, data.tokenizer.endoftext)
    readers = [(reader, 0, None) for reader in READERS[:2]] + [(reader, last, gpt.model) for reader in READERS[2:4]]
    readers += [("bigram, by Bayes' rule", 0, bigram)]
    readers += [("BERT", step, masked.at(step)) for step in sorted(masked.snapshots)]
    yield ("hidden tokens in all", "BERT", 0, end), float(masked.tokens[-1])
    for step in sorted(masked.snapshots):
        yield ("masked loss", "BERT", 0, step), float(masked.losses[max(0, step - 100) : step].mean())
    for what, n in (("article", n_articles), ("place", n_places)):
        examples = hidden_examples(what, n)
        for reader, step, model in readers:
            told = belief(reader, model, data, examples)
            yield (what, reader, 0, step), surprisal(told, examples)
            if what == "article":
                for answer in (" a", " an"):
                    yield (f"article,{answer}", reader, 0, step), surprisal(told, examples, answer)
    ratios = odds_ratios(masked.model, data, n_ratios)
    for i, given in enumerate(("P(name | animal)", "P(animal | name)")):
        yield ("log odds ratio, absolute", given, 0, end), float(np.abs(ratios[:, i]).mean())
    yield ("log odds ratios, difference", "BERT", 0, end), float(np.abs(ratios[:, 0] - ratios[:, 1]).mean())
    for task in finetuning.CLASSES:
        tests = finetuning.test_batches(data, task, n_test)
        for n_labels in labels:
            tuned = finetuning.fine_tune(masked.model, data, FineTuning(task, n_labels), seed)
            yield (task, "BERT", n_labels, end), finetuning.accuracy(tuned, tests)


def final(quantity: str, reader: str) -> np.ndarray:
    """What is stored of a reader when its training has ended: "article" or "place" in nats. Shapes: (n_seeds,)."""
    where = {"step": BERT_PRETRAINING.n_steps} if reader == "BERT" else {}
    return measured.get("gpt1/bert", quantity=quantity, reader=reader, **where)


def curve(quantity: str) -> tuple[list[int], np.ndarray]:
    """What is stored of BERT on the way: the steps, and its surprisal at them. Shapes: values (n_seeds, n_steps)."""
    stored = measured.rows("gpt1/bert")
    steps = sorted({int(row["step"]) for row in stored if row["reader"] == "BERT" and row["quantity"] == quantity})
    values = [measured.get("gpt1/bert", quantity=quantity, reader="BERT", step=step) for step in steps]
    return steps, np.transpose(values)


def on_tasks() -> dict[str, dict[str, dict[int, np.ndarray]]]:
    """Accuracies after fine-tuning, as stored: task -> {"GPT-1" or "BERT": {number of labels: one for each seed}}."""
    start = {"start": "pretrained", "aux_weight": 0.0, "n_layers": "all", "lr": 1e-3}
    return {
        task: {
            "GPT-1": {n: measured.get("gpt1/finetuning", "accuracy", task=task, n_labels=n, **start) for n in LABELS},
            "BERT": {n: measured.get("gpt1/bert", quantity=task, reader="BERT", n_labels=n) for n in LABELS},
        }
        for task in finetuning.CLASSES
    }


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories

    with few_updates(n_snapshots=3) as found:
        values = dict(measure(stories(), 0, n_articles=2, n_places=8, n_ratios=2, labels=(16,), n_test=4))
    found |= {", ".join(map(str, where)): value for where, value in values.items()}
    found["rates"] = sum(train.learning_rate(step, BERT_PRETRAINING) for step in range(BERT_PRETRAINING.n_steps))
    return found
