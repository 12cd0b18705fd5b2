"""The classroom: the one room where words, machine and pictures meet. Chapters, tests and benchmarks start here.

Everything here is a set-up that several chapters share, made of calls to the other rooms: the storybook with its
exact probabilities, the small GPT-1 that the book trains on it, fine-tuning, and tables of measured results.
"""

import copy
import csv
import datetime
import io
import json
import platform
import random
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from minigpt import (
    attention,
    checkpoint,
    corpus,
    grammar,
    lexicon,
    loss,
    model,
    tasks,
    tokens,
    train,
    truth,
    world,
)
from minigpt.corpus import Corpus
from minigpt.model import GPT, GPTConfig, TaskModel, draw_normal
from minigpt.progress import progress
from minigpt.tokens import Tokenizer
from minigpt.train import TrainConfig

# 1,024 tokens: common words are one token, rare ones two or three. With 1,408 every word would be one, and the loss as
# near to the floor, but the model then does not find out in time which words are of one mood (tried with two seeds).
N_VOCAB, N_CTX, TOKENS_PER_BATCH = 1024, 128, 512
CLASSES = {"classification": 4, "entailment": 3, "similarity": 2, "multiple choice": 1}  # outputs of W_y
CHANCE = {"classification": 1 / 4, "entailment": 1 / 3, "similarity": 1 / 2, "multiple choice": 1 / 2}  # by guessing

# The GPT-1 of this book: the paper's form, a few hundred times smaller. In a model this narrow the published
# initialisation of 0.02 is too timid (attention starts out almost blind): each matrix here starts with a standard
# deviation of 1 / sqrt(the numbers it adds up). With W_2 as wide as the rest, or with positions as loud as words, some
# seeds do not find out within a chapter's time that a story mentions its object again.
GPT1 = GPTConfig(
    n_vocab=N_VOCAB, n_ctx=N_CTX, n_layers=2, n_heads=6, d_model=96, norm="post", init_std=0.1, init="width",
    position_init="sinusoid",
)  # fmt: skip
PRETRAINING = TrainConfig(n_steps=1, lr=3e-3, warmup_steps=0, final_lr_fraction=0.03, betas=(0.9, 0.98))


@dataclass(frozen=True)
class Library:
    """A corpus of the story world, and held-out documents with their exact surprise."""

    tokenizer: Tokenizer
    documents: list[str]
    corpus: Corpus
    held_out: list[str]
    held_out_corpus: Corpus
    held_out_nats: np.ndarray  # exact -log P of each held-out document, in nats
    program: Callable  # the grammar they were drawn from
    recipe: dict  # what identifies this library, for the cache

    @property
    def held_out_tokens(self) -> np.ndarray:
        """Predictions a model makes for each held-out document: its tokens and the end."""
        return self.held_out_corpus.lengths + 1

    @property
    def floor(self) -> truth.Estimate:
        """The entropy floor: nats per token that no model can beat on average."""
        return truth.floor(self.held_out_nats, self.held_out_tokens)


def storybook(n_documents: int = 36_000, n_held_out: int = 500, mix=world.STORYBOOK, seed: int = 1) -> Library:
    """Write the book's corpus: documents to learn from, others to be asked about, and a vocabulary of 1,024 tokens.

    Takes a few seconds; the same on every machine.
    """
    recipe = {"mix": dict(mix), "world": checkpoint.code_fingerprint(grammar, lexicon, world)}
    return write(world.program(mix), recipe, n_documents, n_held_out, seed)


def write(program, recipe: dict, n_documents: int, n_held_out: int, seed: int, n_vocab: int = N_VOCAB) -> Library:
    """Write a corpus with any program of `grammar`; `recipe` says which program it is, for the cache."""
    rng, rng_held_out = random.Random(seed), random.Random(f"held out {seed}")
    documents = [grammar.sample(program, rng)[0] for _ in range(n_documents)]
    held_out = [grammar.sample(program, rng_held_out)[0] for _ in range(n_held_out)]
    tokenizer = tokens.train(documents[:8000], n_vocab)
    recipe = recipe | {
        "n_documents": n_documents, "n_held_out": n_held_out, "seed": seed, "tokenizer": tokenizer.fingerprint,
    }  # fmt: skip
    return Library(
        tokenizer,
        documents,
        corpus.encode(documents, tokenizer),
        held_out,
        corpus.encode(held_out, tokenizer),
        truth.document_nats(held_out, program),
        program,
        recipe,
    )


# --- pre-training ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pretrained:
    """A trained model and how it got there; `snapshots` are the weights on the way, by step."""

    model: GPT
    steps: np.ndarray  # every step
    tokens: np.ndarray  # tokens seen after each step
    losses: np.ndarray  # training loss of each step, nats per token
    watched: np.ndarray  # steps at which the held-out documents were read
    held_out: np.ndarray  # held-out loss at those steps, nats per token
    snapshots: dict[int, dict]

    def at(self, step: int) -> GPT:
        """The model as it was after `step` steps."""
        earlier = copy.deepcopy(self.model)
        earlier.load_state_dict(self.snapshots[step])
        return earlier


def pretrain(
    library: Library,
    config: GPTConfig = GPT1,
    seed: int = 0,
    n_steps: int | None = None,
    training: TrainConfig = PRETRAINING,
    loss_fn=train.next_token_loss,
    label: str = "pre-training",
    n_watched: int = 10,
    tokens_per_batch: int | None = None,
) -> Pretrained:
    """Train a model on a library, or load it if this very model was trained before (same code, data and settings).

    Shows a progress bar with the time left and the distance to the floor.
    """
    tokens_per_batch = tokens_per_batch or TOKENS_PER_BATCH
    batches = corpus.DocumentBatches(library.corpus, library.tokenizer, config.n_ctx, tokens_per_batch, seed)
    n_steps = n_steps or len(batches)
    training = replace(training, n_steps=n_steps, warmup_steps=min(60, n_steps // 10))
    key = {
        "library": library.recipe, "model": asdict(config), "training": asdict(training), "seed": seed,
        "tokens_per_batch": tokens_per_batch,
        "watched": n_watched, "code": checkpoint.code_fingerprint(attention, corpus, loss, model, train, loss_fn),
    }  # fmt: skip
    gpt = GPT(config, torch.Generator().manual_seed(seed))

    trained_now = []

    def build():
        trained_now.append(True)
        return _train_and_watch(gpt, library, batches, training, seed, loss_fn, label, n_watched)

    stored = checkpoint.cached(label.replace(" ", "-"), key, build)
    if not trained_now:  # an empty bar, so that a notebook looks the same whether the model was trained or loaded
        list(progress((), 1, label=label))
    snapshots = {}
    for name, tensor in stored.tensors.items():
        if name.startswith("snapshot/"):
            _, step, parameter = name.split("/")
            snapshots.setdefault(int(step), {})[parameter] = tensor
    curves = {name: stored.tensors["curve/" + name].numpy() for name in ("tokens", "losses", "watched", "held_out")}
    gpt.load_state_dict(snapshots[n_steps])
    gpt.eval()
    return Pretrained(gpt, np.arange(1, n_steps + 1), snapshots=dict(sorted(snapshots.items())), **curves)


def _train_and_watch(gpt, library, batches, training, seed, loss_fn, label, n_watched):
    """Train, and at a few steps read the held-out documents and keep the weights."""
    watched_steps = sorted({round(training.n_steps * (i / n_watched) ** 2) for i in range(1, n_watched + 1)} - {0})
    reading = corpus.evaluation_batches(library.held_out_corpus, library.tokenizer, gpt.config.n_ctx, 4096)
    tensors, seen, losses, held_out = {}, [], [], []
    records = train.train(gpt, batches, training, loss_fn, torch.Generator().manual_seed(seed))
    floor = library.floor.mean if gpt.config.causal else None
    for record in progress(records, training.n_steps, floor=floor, label=label):
        seen.append(record.n_tokens)
        losses.append(record.loss)
        if record.step in watched_steps:
            held_out.append(train.evaluate(gpt, reading).nats_per_token if gpt.config.causal else float("nan"))
            for name, parameter in gpt.state_dict().items():
                tensors[f"snapshot/{record.step}/{name}"] = parameter.clone()
    for name, values in (("tokens", seen), ("losses", losses), ("watched", watched_steps), ("held_out", held_out)):
        tensors["curve/" + name] = torch.tensor(values)
    return tensors, {}


def held_out_nats(gpt: GPT, library: Library) -> np.ndarray:
    """The model's own -log P of each held-out document, in nats: to be laid beside `library.held_out_nats`."""
    reading = corpus.evaluation_batches(library.held_out_corpus, library.tokenizer, gpt.config.n_ctx, 4096)
    return train.evaluate(gpt, reading).document_nats


def masked_objective(mask_id: int, padding: int) -> Callable:
    """BERT's pre-training loss for `train.train`: hide 15 % of the tokens, guess them from both sides.

    Source: BERT, section 3.1, task 1. Differs: no next-sentence task; the symbol [MASK] is our delim token.
    """

    def objective(bert, inputs, targets):
        visible = targets != loss.IGNORED  # (B, T): the document, without the padding behind it
        masked, wanted = loss.mask_tokens(
            inputs, mask_id, bert.config.n_vocab, torch.default_generator, protect=(padding,)
        )  # torch.default_generator: inside a training step it is set from (seed, step) and put back afterwards
        return loss.lm_loss(bert(masked, visible=visible), wanted)

    return objective


def pretrain_masked(library: Library, seed: int = 0, n_steps: int | None = None) -> Pretrained:
    """Train the same Transformer without the causal mask, as BERT does, on the same documents."""
    objective = masked_objective(library.tokenizer.delim, library.tokenizer.endoftext)
    return pretrain(library, replace(GPT1, causal=False), seed, n_steps, loss_fn=objective, label="masked pre-training")


# --- asking a language model without any training -------------------------------------------------------------------


@torch.no_grad()
def continuation_logps(gpt: GPT, tokenizer: Tokenizer, prefix: str, continuations: list[str]) -> torch.Tensor:
    """log P(continuation | prefix) for each of several continuations of a prefix that begins a document.

    The prefix is read once, and its keys and values serve all of them. Shapes: result (n,). Unit: nats.
    Source: the chain rule, GPT-1, equation 1. Differs: nothing.
    """
    ids, cache = [tokenizer.encode(text) for text in continuations], gpt.new_cache()
    targets = torch.full((len(ids), max(map(len, ids))), loss.IGNORED)
    for row, tokens_of_it in zip(targets, ids):
        row[: len(tokens_of_it)] = torch.tensor(tokens_of_it)
    before = torch.tensor([[tokenizer.endoftext, *tokenizer.encode(prefix)]])
    logits = gpt(before, cache)[:, -1:].expand(len(ids), -1, -1)  # (n, 1, V)
    for layer in cache:
        layer.k, layer.v = (kept.expand(len(ids), -1, -1, -1) for kept in (layer.k, layer.v))
    if targets.shape[1] > 1:
        logits = torch.cat([logits, gpt(targets[:, :-1].clamp(min=0), cache)], dim=1)  # (n, longest, V)
    return loss.token_logps(logits, targets).sum(dim=1)


def continuation_nats(gpt: GPT, tokenizer: Tokenizer, prefix: str, continuation: str) -> float:
    """The mean surprise, in nats per token, of a continuation after a prefix that begins a document.

    Source: GPT-1, section 5, "Zero-shot behaviors": candidates are compared by their mean token log-probability.
    """
    (logp,) = continuation_logps(gpt, tokenizer, prefix, [continuation]).tolist()
    return -logp / len(tokenizer.encode(continuation))


@torch.no_grad()
def next_logps(gpt: GPT, tokenizer: Tokenizer, prefix: str) -> torch.Tensor:
    """log P(next token | prefix) for every token of the vocabulary. Shapes: result (V,). Unit: nats."""
    ids = torch.tensor([[tokenizer.endoftext, *tokenizer.encode(prefix)]])
    return gpt(ids)[0, -1].log_softmax(dim=-1)


def zero_shot(gpt: GPT, library: Library, task: str, n_test: int = 200) -> float:
    """Accuracy of a language model that was never fine-tuned, by heuristics in the spirit of GPT-1's section 5.

    classification: which mood's verbs are likeliest after "At last <name>"?
    similarity: after the two sentences, is "They felt" likelier than "They did"?
    multiple choice: which ending has the higher mean token log-probability after the story?
    """
    examples = world.labelled(task, n_test, random.Random(f"zero-shot {task}"))
    ask = {"classification": _likeliest_mood, "similarity": _felt_the_same, "multiple choice": _likelier_ending}
    if task not in ask:
        raise ValueError(f"expected one of {sorted(ask)} (there is no heuristic for the others); got {task!r}")
    right = [ask[task](gpt, library.tokenizer, *parts) == label for parts, label in examples]
    return sum(right) / len(right)


def _likeliest_mood(gpt, tokenizer, text):
    names = {f" {character.name}" for character in lexicon.CHARACTERS}
    hero = next(word for word in grammar.words(text) if word in names)
    verbs = [f" {verb}" for mood in lexicon.MOODS for verb in mood.reactions]
    p = continuation_logps(gpt, tokenizer, f"{text} At last{hero}", verbs).exp()
    shares = [share.sum().item() for share in p.split([len(mood.reactions) for mood in lexicon.MOODS])]
    return int(np.argmax(shares))


def _felt_the_same(gpt, tokenizer, first, second):
    logps = next_logps(gpt, tokenizer, f"{first} {second} They")
    return int(logps[tokenizer.encode(" felt")[0]] > logps[tokenizer.encode(" did")[0]])


def _likelier_ending(gpt, tokenizer, context, *endings):
    return int(np.argmin([continuation_nats(gpt, tokenizer, context, ending) for ending in endings]))


def hidden_examples(what: str, n: int) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Documents with one word to be guessed: (text before it, the word, text after it, the words it could be).

    "place": "Tom the fox went to the ▢. It was good to be home. ..."; "article": "Once upon a time there was ▢ old hen
    named ..." Errors: another `what` is a ValueError.
    """
    ways = {
        "place": ({"walks": 1.0}, " went to the", tuple(f" {place.name}" for place in lexicon.PLACES)),
        "article": ({"story": 1.0}, "Once upon a time there was", (" a", " an")),
    }
    if what not in ways:
        raise ValueError(f"expected one of {sorted(ways)}; got {what!r}")
    mix, marker, candidates = ways[what]
    rng, found = random.Random(f"hidden {what}"), []
    while len(found) < n:
        (text,) = world.documents(1, rng, mix)
        if marker in text:
            cut = text.index(marker) + len(marker)
            word = grammar.words(text[cut:])[0]
            found.append((text[:cut], word, text[cut + len(word) :], candidates))
    return found


@torch.no_grad()
def hidden_word(gpt: GPT, bert: GPT, library: Library, examples: list) -> dict[str, float]:
    """How surprising a hidden word is, to readers of one side and of both, exactly and for our models.

    "left": -log P(word | what stands before), "both": -log P(word | before and after), by the grammar; "gpt" reads from
    the left; "bert" reads both sides, with [MASK] in the word's place. Unit: nats, the mean over the examples.
    """
    encode, mask, endoftext = library.tokenizer.encode, library.tokenizer.delim, library.tokenizer.endoftext
    sums = dict.fromkeys(("left", "gpt", "both", "bert"), 0.0)
    for before, word, after, candidates in examples:
        each = [np.exp(grammar.score(library.program, before + other + after).logp) for other in candidates]
        left, (here,) = [endoftext, *encode(before)], encode(word)
        sums["left"] -= np.log(grammar.predict(library.program, before).next_word[word])
        sums["both"] -= np.log(each[candidates.index(word)] / sum(each))
        sums["gpt"] -= gpt(torch.tensor([left]))[0, -1].log_softmax(-1)[here].item()
        sums["bert"] -= bert(torch.tensor([[*left, mask, *encode(after)]]))[0, len(left)].log_softmax(-1)[here].item()
    return {name: float(total / len(examples)) for name, total in sums.items()}


# --- the reader's own text ------------------------------------------------------------------------------------------


def train_on_text(path, n_steps: int = 1000, seed: int = 0) -> tuple[GPT, Tokenizer, float]:
    """Train the same small GPT-1 on a text file or folder of the reader's: (model, tokenizer, held-out nats per token).

    The last tenth of the text is held out. The floor of real text is unknown: that is why this book has a world.
    Errors: as `corpus.read_text`; a text that is too short for the context is a ValueError.
    """
    text = "\n".join(corpus.read_text(path))
    tokenizer = tokens.train([text], N_VOCAB)
    ids = np.array(tokenizer.encode(text))
    cut = len(ids) * 9 // 10
    n_ctx = 64
    batches = corpus.WindowBatches(ids[:cut], n_ctx, TOKENS_PER_BATCH // n_ctx, seed)
    gpt = GPT(replace(GPT1, n_vocab=tokenizer.n_vocab, n_ctx=n_ctx), torch.Generator().manual_seed(seed))
    config = replace(PRETRAINING, n_steps=n_steps, warmup_steps=n_steps // 10)
    for _ in progress(train.train(gpt, batches, config), n_steps, label="your text"):
        pass
    gpt.eval()
    return gpt, tokenizer, train.evaluate(gpt, corpus.windows(ids[cut:], n_ctx)).nats_per_token


# --- fine-tuning ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FineTuning:
    """How a labelled task is learned. `kind` says what is trained: everything, or W_y alone on frozen features."""

    task: str
    n_labels: int
    start: str = "pretrained"  # "pretrained", "scratch", or "probe": pretrained and frozen, only W_y is trained
    aux_weight: float = 0.0  # lambda of L3 = L2 + lambda L1; GPT-1: 0.5
    n_layers: int | None = None  # blocks kept from pre-training (None: all); -1: not even the embeddings
    lr: float = 1e-3

    @property
    def n_steps(self) -> int:
        """Updates of 16 examples: more labels, more updates, but fewer passes over each."""
        return {16: 80, 32: 100, 64: 140, 128: 180, 256: 240, 512: 320, 1024: 420}.get(self.n_labels, 200)


def test_batches(library: Library, task: str, n_test: int = 500) -> list:
    """The examples a fine-tuned model is asked about: the same for every model."""
    examples = world.labelled(task, n_test, random.Random(f"test {task}"))
    return tasks.TaskBatches(task, examples, library.tokenizer, N_CTX).in_order()


def best_possible(task: str, n_test: int = 500) -> float:
    """The share of right answers that a reader who knows the grammar would give, on the examples of `test_batches`."""
    examples = world.labelled(task, n_test, random.Random(f"test {task}"))
    return truth.bayes_accuracy(world.TASKS[task], examples).mean


def transfer(pretrained: GPT, n_layers: int | None, seed: int) -> GPT:
    """A new model that takes over the embeddings and the first n_layers blocks of a trained one, the rest fresh."""
    fresh = GPT(pretrained.config, torch.Generator().manual_seed(10_000 + seed))
    if n_layers is None:
        n_layers = pretrained.config.n_layers
    kept = ["W_e.", "W_p.", *(f"blocks.{i}." for i in range(n_layers))] if n_layers >= 0 else []
    state = {k: v for k, v in pretrained.state_dict().items() if k.startswith(tuple(kept))} if kept else {}
    fresh.load_state_dict(state, strict=False)
    return fresh


def fine_tune(pretrained: GPT, library: Library, how: FineTuning, seed: int = 0) -> TaskModel:
    """Fine-tune a copy of a model on a labelled task: L3 = L2 + lambda L1, or L2 alone when lambda is 0.

    The three special tokens get fresh random embeddings, as in the paper: pre-training has never shown them.
    Source: GPT-1, sections 3.2 and 4.1. Differs: batches of 16, a rate of 1e-3, hundreds of passes over small sets.
    """
    generator = torch.Generator().manual_seed(seed)
    gpt = transfer(pretrained, -1 if how.start == "scratch" else how.n_layers, seed)
    tokenizer = library.tokenizer
    with torch.no_grad():
        for special in (tokenizer.start, tokenizer.delim, tokenizer.extract):
            draw_normal(gpt.W_e.weight[special], gpt.config.init_std, generator)
    task_model = TaskModel(gpt, CLASSES[how.task], tasks.COMBINE[how.task], generator)
    if how.start == "probe":
        for parameter in gpt.parameters():
            parameter.requires_grad_(False)
    examples = world.labelled(how.task, how.n_labels, random.Random(f"train {how.task} {how.n_labels} {seed}"))
    batches = tasks.TaskBatches(how.task, examples, tokenizer, N_CTX, 16, seed)
    config = TrainConfig(
        n_steps=how.n_steps, lr=how.lr * (10 if how.start == "probe" else 1), warmup_steps=how.n_steps // 10,
        schedule="linear", betas=(0.9, 0.98),
    )  # fmt: skip
    for _ in train.train(task_model, batches, config, task_objective(how.aux_weight)):
        pass
    return task_model.eval()


def task_objective(aux_weight: float) -> Callable:
    """The loss of fine-tuning for `train.train`: L2 if lambda is 0, else L3 = L2 + lambda L1 on the same texts."""

    def objective(task_model, ids, extract, labels, lm_targets):
        if aux_weight == 0:
            return loss.task_loss(task_model(ids, extract), labels)
        task_logits, lm_logits = task_model.task_and_lm(ids, extract)
        return loss.joint_loss(loss.task_loss(task_logits, labels), loss.lm_loss(lm_logits, lm_targets), aux_weight)

    return objective


@torch.no_grad()
def accuracy(task_model: TaskModel, batches: Iterable) -> float:
    """The share of examples whose highest score is the right one."""
    right = [
        task_model(torch.from_numpy(ids), torch.from_numpy(extract)).argmax(dim=1) == torch.from_numpy(labels)
        for ids, extract, labels, _ in batches
    ]
    return torch.cat(right).double().mean().item()


# --- measured results -----------------------------------------------------------------------------------------------

# Student's t for a 95 % interval of the mean of n seeds, n = 2 ... 10 (0.975 quantile, n - 1 degrees of freedom).
T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}


def over_seeds(values: Iterable[float]) -> truth.Estimate:
    """The mean of a few runs that differ only in their seed, with a 95 % interval by Student's t.

        mean ± t_{n-1} s / sqrt(n)        s: standard deviation of the n values

    Errors: fewer than 2 or more than 10 values are a ValueError.
    """
    values = np.array(list(values), dtype=np.float64)
    if len(values) not in T95:
        raise ValueError(f"expected the results of 2 to 10 seeds; got {len(values)}")
    return truth.Estimate(float(values.mean()), float(T95[len(values)] * values.std(ddof=1) / np.sqrt(len(values))))


def intervals(
    quantities: Iterable[Iterable[float]], low: float = -np.inf, high: float = np.inf
) -> tuple[list[float], list[float], list[float]]:
    """(means, lower ends, upper ends) of several quantities, each measured with a few seeds: what a chart draws.

    low, high: what the quantity cannot leave, such as 0 and 1 for a share; the ends are cut there. Errors: as over_seeds.
    """
    found = [over_seeds(values) for values in quantities]
    return [e.mean for e in found], [max(low, e.low) for e in found], [min(high, e.high) for e in found]


def claim(says: str, source: str, effect: Iterable[float], unit: str, held: Iterable[bool], how: str = "") -> tuple:
    """A row of `show.claims_table`: an effect with its interval over the seeds, and in how many cases the claim holds.

    effect: one number a seed, in `unit`. held: whether the claim holds, for each case; `how` says what a case is. The
    verdict is True if it holds in all, False if in none, else in words. Errors: as over_seeds; no cases are a ValueError.

    >>> claim("it helps", "Table 1", [0.25, 0.75], "points", [True, False], "seeds")
    ('it helps', 'Table 1', '0.50 ± 3.18 points; 1 of 2 seeds', 'partly: 1 of 2')
    """
    mean, held = over_seeds(effect), list(held)
    n, of = int(np.sum(held)), len(held)
    if not of:
        raise ValueError(f"expected at least one case of {says!r}; got none")
    centre = round(mean.mean, 2) + 0.0  # never "-0.00"
    found = f"{centre:.2f} ± {mean.half_width:.2f} {unit}; {n} of {of} {how}".rstrip()
    return says, source, found, n == of if n in (0, of) else f"partly: {n} of {of}"


MEASURED = Path(__file__).parent.parent / "data" / "measured"


def measured(name: str) -> list[dict]:
    """The rows of data/measured/<name>.csv: many runs, made once by benchmarks/<name>.py, too long for a lesson.

    Whether they are still true is not asked here but by the tests: each table has a canary (benchmarks/canary.py).
    Errors: ValueError if there is no such table, or nothing in it; the message says how to measure it.
    """
    path = MEASURED / f"{name}.csv"
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        rows = []
    if not rows:
        raise ValueError(f"expected rows in data/measured/{name}.csv; got none: run python benchmarks/{name}.py to measure")
    return rows


def keep_measured(name: str, rows: list[dict], key: tuple[str, ...]) -> None:
    """Put rows into data/measured/<name>.csv: sorted by `key`, each key once, a new row in place of an old one.

    Beside it <name>.json says under "measured" which commit, day and versions the newest rows are from.
    Several processes may do so at once.
    """
    path = MEASURED / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        try:
            old = measured(name)
        except ValueError:
            old = []
        kept = {tuple(str(row[column]) for column in key): row for row in [*old, *rows]}
        text = io.StringIO()
        writer = csv.DictWriter(text, list(kept[next(iter(kept))]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept[each] for each in sorted(kept))
        tokens.replace_file(path, text.getvalue().encode("utf-8"))
        _keep_about(name, about(name) | {"measured": provenance()})


def about(name: str) -> dict:
    """What data/measured/<name>.json says of a table: where its rows are from, and its canary. Empty if there is none."""
    path = MEASURED / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def keep_canary(name: str, values: dict[str, float]) -> None:
    """Put a table's canary into data/measured/<name>.json, with the commit, day and versions that computed it."""
    with FileLock((MEASURED / f"{name}.csv").with_suffix(".lock")):
        _keep_about(name, about(name) | {"canary": provenance() | {"values": values}})


def provenance() -> dict:
    """What a measurement of this moment is from: commit, day, versions."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        capture_output=True, text=True, cwd=Path(__file__).parent, check=False,
    ).stdout.strip()  # fmt: skip
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    return {"commit": commit or "unknown", "date": datetime.date.today().isoformat(), "versions": versions}


def _keep_about(name: str, said: dict) -> None:
    text = json.dumps(dict(sorted(said.items())), indent=1, ensure_ascii=False) + "\n"
    tokens.replace_file(MEASURED / f"{name}.json", text.encode("utf-8"))


def scores(rows: list[dict], how: FineTuning) -> list[float]:
    """The measured accuracies of one way of fine-tuning, one for each seed, in the order of the seeds.

    Training from scratch was measured at two learning rates; it gets the one that is better on average, so that it is
    not beaten by a bad setting. Errors: a way that was not measured is a ValueError.
    """
    layers = "all" if how.n_layers is None else str(how.n_layers)
    wanted = (how.task, str(how.n_labels), how.start, str(how.aux_weight), layers)
    by_rate = {}
    for row in sorted(rows, key=lambda row: int(row["seed"])):
        if tuple(row[name] for name in ("task", "n_labels", "start", "aux_weight", "n_layers")) == wanted:
            by_rate.setdefault(row["lr"], []).append(float(row["accuracy"]))
    if not by_rate:
        raise ValueError(f"expected a way of fine-tuning that was measured; got {how}")
    return max(by_rate.values(), key=np.mean)
