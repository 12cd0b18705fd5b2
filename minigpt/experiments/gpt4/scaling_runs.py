"""Chapter 05, sections 2 to 8. Scaling runs: models from very small to small, all trained alike on one encyclopedia.

What is held fixed from width to width: the number of updates, the number of tokens for each parameter, the shape of the
network; the learning rate falls with the width, as tuning at the small widths says. Then the loss follows one curve.
The table of these runs is made by loss_prediction.py.
"""

import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch

from minigpt import devices, scaling, train
from minigpt.experiments.cache import cached
from minigpt.experiments.training import train_or_load
from minigpt.loss import token_logps
from minigpt.model import GPT, GPTConfig
from minigpt.notebook.progress import drawing, notice, progress
from minigpt.train import TrainConfig
from minigpt.worlds import facts
from minigpt.worlds.facts import Encyclopedia

# Widths: to fit, to look at later, to predict. Below 8 runs leave the line: LayerNorm alone takes two of six numbers.
SMALL, MIDDLE, LARGE = (8, 10, 12, 16, 24, 32), (48, 64), 96
REPEATS = 4  # runs of each small width, which differ in their chance only
TOKENS_PER_PARAM, N_STEPS = 15, 500  # of every run; so its batches grow with it
N_ENTRIES = 10  # in a text
N_HELD_OUT, N_PROBLEMS = 4000, 400  # texts; entries asked for, of each kind
BANDS = ((3, 30), (30, 300), (300, 3000))  # ranks in fame


@functools.cache
def book(zipf: float = 1.6, n_words: int = 256) -> Encyclopedia:
    """The encyclopedia of chapter 05; with zipf=0 and 32 words, one in which no entry is more famous than another."""
    return facts.draw_encyclopedia(n_words, zipf)


def model_config(d_model: int, n_words: int = 256) -> GPTConfig:
    """Configuration of a run: two blocks, two heads. Errors: an odd width is a ValueError of GPTConfig."""
    return GPTConfig(
        n_vocab=n_words + 1, n_ctx=3 * N_ENTRIES, n_layers=2, n_heads=2, d_model=d_model, norm="pre",
        init="width", init_std=round(d_model**-0.5, 4), position_init="sinusoid",
    )  # fmt: skip


def learning_rate(d_model: int) -> float:
    """Learning rate: the best at the widths where it was tuned (6 to 24), and what the same rule says for others.

    lr = 0.027 (16 / d)^0.8
    """
    return 0.027 * (16 / d_model) ** 0.8


@dataclass(frozen=True)
class FreshTexts:
    """Training batches, each of new texts: batch `step` depends on its number and on the seed alone."""

    book: Encyclopedia
    rows: int
    n_steps: int
    seed: int

    def __len__(self) -> int:
        return self.n_steps

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        texts = self.book.draw(self.rows, N_ENTRIES, np.random.default_rng([self.seed, step]))
        return asked(self.book, texts), torch.from_numpy(texts)


def asked(book: Encyclopedia, texts: np.ndarray) -> torch.Tensor:
    """Model inputs that predict each word of a text: the text one place later, its beginning marked."""
    return torch.from_numpy(np.pad(texts[:, :-1], ((0, 0), (1, 0)), constant_values=book.begin))


@dataclass(frozen=True)
class Run:
    """One run: how large, how long, and what came of it."""

    d_model: int
    seed: int
    n_params: int
    n_tokens: int  # that it was trained on
    loss: float  # nats per token, held-out text
    surprise: float  # mean of -log(pass rate): problems drawn as the text is
    bands: tuple[float, float, float]  # mean pass rate of famous, known and rare entries
    misprints: float  # share of misprinted entries for which it says the corrected value is likelier

    @property
    def compute(self) -> float:
        """C = 6 N D, floating-point operations."""
        return scaling.flops_6nd(self.n_params, self.n_tokens)


def plan(d_model: int, n_words: int = 256, tokens_per_param: float | None = None) -> tuple[int, int]:
    """Batch size and updates: (rows, updates) for so many tokens for each parameter, in about N_STEPS updates."""
    n_params = scaling.count_params(2, d_model, n_words + 1, 3 * N_ENTRIES)
    n_tokens = (tokens_per_param or TOKENS_PER_PARAM) * n_params
    rows = max(2, round(n_tokens / (3 * N_ENTRIES * N_STEPS)))
    return rows, max(1, round(n_tokens / (3 * N_ENTRIES * rows)))


def training_config(d_model: int, n_steps: int, lr: float | None = None) -> TrainConfig:
    """Training configuration of one width: AdamW without weight decay, a warm-up of a twentieth, then a cosine."""
    return TrainConfig(
        n_steps=n_steps, lr=lr or learning_rate(d_model), warmup_steps=n_steps // 20, betas=(0.9, 0.98),
        weight_decay=0.0, final_lr_fraction=0.02,
    )  # fmt: skip


def fresh_model(book: Encyclopedia, d_model: int, seed: int) -> GPT:
    """The untrained model of one run."""
    return GPT(model_config(d_model, book.n_words), torch.Generator().manual_seed(seed))


def train_run(
    book: Encyclopedia, model: GPT, seed: int, tokens_per_param: float | None = None, lr: float | None = None,
    state: train.TrainState | None = None,
) -> Iterator[train.Record]:
    """Train the model of one run: an iterator of training records."""
    rows, n_steps = plan(model.config.d_model, book.n_words, tokens_per_param)
    batches = FreshTexts(book, rows, n_steps, 1000 * seed + model.config.d_model)
    return train.train(model, batches, training_config(model.config.d_model, n_steps, lr), state=state)


def examine(book: Encyclopedia, model: GPT, seed: int, n_tokens: int) -> Run:
    """Measure a trained model on the held-out text and on problems."""
    texts = held_out(book)
    loss = -float(logps(model, book, texts).mean())
    problems = np.random.default_rng(7).choice(len(book.fame), size=N_PROBLEMS, p=book.fame)
    surprise = -float(np.log(pass_rates(model, book, problems)).mean())
    bands = tuple(
        float(
            pass_rates(
                model, book, book.by_fame[low : min(high, len(book.fame))][:: max(1, (high - low) // N_PROBLEMS)]
            ).mean()
        )
        for low, high in BANDS
    )
    return Run(
        model.config.d_model, seed, model.n_params(), n_tokens, loss, surprise, bands, believes_correction(model, book)
    )


@functools.lru_cache(maxsize=4)
def held_out(book: Encyclopedia) -> np.ndarray:
    """Held-out texts, which no run is trained on. Shapes: (N_HELD_OUT, 3 N_ENTRIES)."""
    return book.draw(N_HELD_OUT, N_ENTRIES, np.random.default_rng(99))


def floor(book: Encyclopedia) -> float:
    """Entropy floor: the loss of the encyclopedia's own probabilities on the held-out text, nats per token."""
    return -float(book.logps(held_out(book)).mean())


@torch.no_grad()
def logps(model: GPT, book: Encyclopedia, texts: np.ndarray) -> np.ndarray:
    """The model's log-probability of each word of each text. Shapes: as texts, float64."""
    parts = [(asked(book, part).to(devices.of(model)), torch.from_numpy(part)) for part in np.array_split(texts, 8)]
    return torch.cat([token_logps(model(inputs), targets) for inputs, targets in parts]).double().cpu().numpy()


@torch.no_grad()
def answers(model: GPT, book: Encyclopedia, keys: np.ndarray) -> np.ndarray:
    """The model's probability of every word as the value of each key, asked for at the beginning of a text.

    Shapes: keys (n,), result (n, n_words), float64.
    """
    keys = np.asarray(keys)
    questions = np.stack([np.full(len(keys), book.begin), keys // book.n_words, keys % book.n_words], axis=1)
    logits = model(torch.from_numpy(questions))[:, -1, : book.n_words]
    return logits.double().softmax(dim=-1).cpu().numpy()


def pass_rates(model: GPT, book: Encyclopedia, keys: np.ndarray) -> np.ndarray:
    """Pass rate: the probability of a right answer to each problem. Shapes: (n,) -> (n,)."""
    return answers(model, book, keys)[np.arange(len(keys)), book.values[keys]]


def believes_correction(model: GPT, book: Encyclopedia, n: int = 40) -> float:
    """The share of misprinted entries for which the model finds the corrected value likelier than what was printed.

    The corrected value is the one that the second word of the key usually has: `Encyclopedia.misprints`.
    """
    if book.zipf == 0:
        return float("nan")
    keys = book.misprints(n)
    p, rows = answers(model, book, keys), np.arange(n)
    return float((p[rows, book.usual_value(keys)] > p[rows, book.values[keys]]).mean())


def train_runs(runs, book: Encyclopedia, label: str, draw=None) -> list[tuple[Run, GPT]]:
    """Train several runs, (width, seed, further settings of train_run), one after another, under one progress bar."""
    runs, ended = list(runs), []

    def records():
        for d_model, seed, more in runs:
            model = fresh_model(book, d_model, seed)
            for record in train_run(book, model, seed, **more):
                yield SimpleNamespace(loss=record.loss)
            ended.append((examine(book, model.eval(), seed, record.n_tokens), model))

    total = sum(plan(d, book.n_words, more.get("tokens_per_param"))[1] for d, _, more in runs)
    for _ in progress(records(), total, floor=book.entropy, label=label, draw=draw):
        pass
    return ended


def small_runs(seed: int = 0, widths=SMALL, repeats: int = REPEATS) -> list[Run]:
    """The runs that a prediction is made from: every small width a few times, no two seeds alike. Kept in the cache."""
    label, runs = "small runs", [(d, repeats * seed + i, {}) for d in widths for i in range(repeats)]
    draw = drawing(label)  # one output, so that a notebook looks the same if models were trained, waited for or loaded

    def build():
        return {}, {"runs": [dataclasses.asdict(run) for run, _ in train_runs(runs, book(), label, draw)]}

    settings = [(model_config(d), training_config(d, plan(d)[1]), plan(d)) for d in widths]
    key = {"runs": runs, "settings": settings, "book": book()}
    waiting = f"{label}: another notebook or process is training them; waiting for it"
    stored = cached("small-runs", key, build, on_wait=lambda: notice(waiting, draw))
    return [Run(**{**each, "bands": tuple(each["bands"])}) for each in stored.extra["runs"]]


def large_run(seed: int = 0, d_model: int = LARGE) -> tuple[Run, GPT]:
    """The run that is predicted, and its model. Kept in the cache."""
    model, (rows, n_steps) = fresh_model(book(), d_model, seed), plan(d_model)

    def begin(state):
        return train_run(book(), model, seed, state=state)

    training = training_config(d_model, n_steps)
    key = {"book": book(), "model": model.config, "training": training, "rows": rows, "seed": seed}
    train_or_load("the-largest-run", key, model, begin, n_steps, label="the largest run", floor=book().entropy)
    return examine(book(), model, seed, rows * n_steps * 3 * N_ENTRIES), model
