"""Chapter 03. In-context learning: models trained on lists of examples, asked with K examples.

Every list has a new rule (minigpt.worlds.in_context_lists). Nothing is trained while the models are asked.

The table has a row for each seed, model, family, number of examples, kind of question and training step: the share of
right answers to 300 questions (always the same ones). The model is "post 64" (LayerNorm after each step, width 64),
"pre 64", or "number 64", which was trained on the family "number" alone. At the end of training all K are asked, before
it K = 8. Further rows, for "post 64" and with the quantity in the column `family`: "copying", the attention of the head
that copies best; "table, in context" and "table, tuned", the mean share of a table of sixteen facts known after n_shots
labelled examples, over eight tables. Five seeds take half an hour on one core.
"""

import copy
import functools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import torch

from minigpt import devices, loss, sample, stats, train
from minigpt.experiments import canaries, dataset, measured, pretraining, sizes
from minigpt.model import GPT, GPTConfig
from minigpt.tokenizer import Tokenizer
from minigpt.train import TrainConfig
from minigpt.worlds import in_context_lists
from minigpt.worlds.in_context_lists import Question
from minigpt.worlds.lexicon import LEXICON

SEEDS = (0, 1, 2, 3, 4)
KEY = ("seed", "model", "family", "n_shots", "which", "step")
SHOTS = (0, 1, 2, 4, 8, 16)  # K
SIZES = {16: (4, 6e-3), 32: (4, 4e-3), 64: (4, 3e-3), 96: (6, 2e-3)}  # width -> (heads, learning rate)
LEARNED = ("relation", "language", "symbols", "category")  # the families in the corpus; "number" has one of its own
KINDS = [(family, "training") for family in LEARNED] + [(family, "held out") for family in in_context_lists.MADE_UP]
LABELLED = (1, 2, 4, 8, 16, 32, 64, 128)  # examples of a table of facts
N_TABLES = 8  # for each seed other ones
# Every word is one token, and the window holds 17 pairs. A separator between the pairs makes learning several times
# slower: the word before an answer must then be looked for two tokens further back.
N_VOCAB, N_CTX, TOKENS_PER_BATCH = 704, 40, 1024


def list_dataset(names: tuple[str, ...] = LEARNED, n_documents: int = 90_000) -> dataset.Dataset:
    """A corpus of lists, all families equally often: 3.3 million tokens, drawn in ten seconds the first time."""
    mixture = in_context_lists.mixture(dict.fromkeys(names, 1.0))
    return dataset.build_dataset(mixture, n_documents, 300, 1, N_VOCAB)


def model_config(d_model: int, n_vocab: int = N_VOCAB, norm: str = "post") -> GPTConfig:
    """Configuration of a model of one width: three blocks, LayerNorm after each step.

    Differs from GPT-3: LayerNorm stands after the step, as in GPT-1, because with our amount of training that
    order learns to copy from the context and the other does not (chapter 03 measures both).
    Errors: an unknown width is a ValueError.
    """
    if d_model not in SIZES:
        raise ValueError(f"expected a width among {sorted(SIZES)}; got {d_model!r}")
    return GPTConfig(
        n_vocab=n_vocab, n_ctx=N_CTX, n_layers=3, n_heads=SIZES[d_model][0], d_model=d_model, norm=norm,
        init="width", init_std=round(d_model**-0.5, 4), position_init="sinusoid",
    )  # fmt: skip


def pretrain(lists: dataset.Dataset, d_model: int = 64, seed: int = 0, norm: str = "post") -> pretraining.Pretrained:
    """Train the model of one width on the lists, or load it if it was trained before."""
    return pretraining.pretrain(
        lists, model_config(d_model, lists.tokenizer.n_vocab, norm), seed,
        training=replace(sizes.PRETRAINING, lr=SIZES[d_model][1]), n_watched=12,
        tokens_per_batch=TOKENS_PER_BATCH,
    )  # fmt: skip


def questions(family: str, n_shots: int, n: int = 300, which: str = "training") -> list[Question]:
    """n questions of a family with K examples each, always the same ones."""
    return in_context_lists.questions(family, n_shots, n, random.Random(f"{family} {n_shots} {which}"), which)


@torch.no_grad()
def is_right(model: GPT, tokenizer: Tokenizer, asked: list[Question]) -> np.ndarray:
    """For each question, whether the model's likeliest next token is the answer. Shapes: result (n,), bool.

    Of all tokens of the vocabulary, not of a few choices. The questions must have equally many tokens.
    """
    ids = torch.tensor([[tokenizer.endoftext, *tokenizer.encode(question.text)] for question in asked])
    said = model(ids.to(devices.of(model)))[:, -1].argmax(dim=-1).cpu()
    wanted = torch.tensor([tokenizer.encode(f" {question.answer}")[0] for question in asked])
    return (said == wanted).numpy()


def ceiling(asked: list[Question]) -> float:
    """Best possible accuracy: the share of right answers that the Bayes learner expects on these questions."""
    return float(np.mean([question.ceiling for question in asked]))


def best_possible(asked: list[Question]) -> np.ndarray:
    """Whether the Bayes learner's likeliest answer is the right one: what the best learner scores on these questions.

    `ceiling` is what it expects on average; a model must be compared with this, since both then have the same luck.
    Of m answers that are equally likely each counts 1 / m. Shapes: result (n,), from 0 to 1.
    """
    found = []
    for question in asked:
        likeliest = [answer for answer, p in question.bayes.items() if p > question.ceiling - 1e-9]
        found.append((question.answer in likeliest) / len(likeliest))
    return np.array(found)


def shortcut(asked: list[Question]) -> np.ndarray:
    """Shortcut: naming the commonest answer of the list, whatever is asked. 1 / m where m answers are equally common.

    Shapes: result (n,), from 0 to 1; 0 without examples.
    """
    found = []
    for question in asked:
        counts = Counter(question.text.split()[2::2])
        commonest = [answer for answer, n in counts.items() if n == max(counts.values())]
        found.append((question.answer in commonest) / len(commonest) if commonest else 0.0)
    return np.array(found)


def references(family: str, n_shots: int = 8, which: str = "training") -> dict[str, float]:
    """Reference lines of a family with K examples: what the best possible learner and the shortcut score."""
    asked = questions(family, n_shots, which=which)
    return {"best possible": float(best_possible(asked).mean()), "shortcut": float(shortcut(asked).mean())}


def k_shot_panels(table: str = "gpt3/in_context", which: str = "training", **model) -> tuple[dict, dict]:
    """Accuracy against K for `plots.small_multiples`: panels with the curves of model and shortcut, and the ceilings.

    model: the columns of the table that name a model (model="post 64", step=3215; of gpt3/few_shot, d_model=64).
    which: "training", or "held out", pairs never met (made-up rules alone). Intervals: 95 %, over the seeds.
    """
    panels, ceilings = {}, {}
    for family in (family for family, kind in KINDS if kind == which):
        found = [measured.get(table, family=family, n_shots=k, which=which, **model) for k in SHOTS]
        lines = [references(family, k, which) for k in SHOTS]
        panels[family] = {
            f"model, {len(found[0])} seeds": (SHOTS, *stats.intervals(found, 0, 1)),
            "shortcut: the commonest answer of the list": (SHOTS, [each["shortcut"] for each in lines]),
        }
        ceilings[family] = (SHOTS, [each["best possible"] for each in lines])
    return panels, ceilings


def gains(model: str, family: str, least: int = 0, most: int = 8, step: int = 3215) -> np.ndarray:
    """What examples add: accuracy with `most` of them less that with `least`, from the table, one for each seed."""
    at = {"model": model, "family": family, "which": "training", "step": step}
    return measured.get("gpt3/in_context", n_shots=most, **at) - measured.get("gpt3/in_context", n_shots=least, **at)


# --- induction heads --------------------------------------------------------------------------------------------------


@torch.no_grad()
def copying_attention(model: GPT, tokenizer: Tokenizer, asked: list[Question]) -> np.ndarray:
    """Induction heads: the share of its attention that each head gives to the answer shown with the word asked.

    The mean over questions whose word was shown before; a head that finds it each time has 1. Shapes: (layers, heads).
    Source: induction heads, Olsson et al. 2022. Differs: pairs of a list, not repeated random tokens.
    """
    found = []
    for question in asked:
        ids = tokenizer.encode(question.text)
        behind = [i + 2 for i, token in enumerate(ids[:-1]) if token == ids[-1]]  # + end-of-text, + the word after
        if behind:
            maps = model.attention_maps(torch.tensor([[tokenizer.endoftext, *ids]]))
            found.append(torch.stack([layer[0, :, -1, behind].sum(dim=-1) for layer in maps]))
    if not found:
        raise ValueError("expected questions whose word was shown before; got none")
    return torch.stack(found).mean(dim=0).cpu().numpy()


# --- more examples than the window holds ------------------------------------------------------------------------------


def draw_facts(seed: int) -> dict[str, str]:
    """A table of sixteen facts: each of sixteen adjectives gets a colour, drawn once."""
    rng = random.Random(f"table {seed}")
    words, colours = LEXICON.traits[: in_context_lists.N_WORDS], [colour.name for colour in LEXICON.colours]
    return {word: colours[int(rng.random() * len(colours))] for word in words}


def labelled_examples(facts: dict[str, str], n: int, seed: int) -> list[tuple[str, str]]:
    """n labelled examples of a table, drawn with replacement."""
    rng, words = random.Random(f"labelled {seed}"), list(facts)
    return [(word, facts[word]) for word in (words[int(rng.random() * len(words))] for _ in range(n))]


def fact_prompt(examples: list[tuple[str, str]], word: str) -> str:
    """As many examples as the window holds, the last ones, and the word that is asked about."""
    shown = [part for pair in examples[-(in_context_lists.N_EXAMPLES - 1) :] for part in pair] if examples else []
    return " ".join([in_context_lists.HEADER, *shown, word])


@torch.no_grad()
def share_known(model: GPT, tokenizer: Tokenizer, facts: dict[str, str], examples: list[tuple[str, str]] = ()) -> float:
    """The share of a table's facts that a model answers right, with examples before the question."""
    said = []
    for word, colour in facts.items():
        logps = sample.next_logps(model, tokenizer, fact_prompt(list(examples), word))
        said.append(int(logps.argmax()) == tokenizer.encode(f" {colour}")[0])
    return float(np.mean(said))


def fine_tune(model: GPT, tokenizer: Tokenizer, examples: list[tuple[str, str]], seed: int, n_steps: int = 60) -> GPT:
    """Fine-tuning: a copy of a model, trained on labelled examples as they are asked, without examples in the context.

    Source: what GPT-3, section 2, calls fine-tuning. The loss is that of the answers alone.
    """
    tuned, batch = copy.deepcopy(model), []
    for word, colour in examples:
        ids = [tokenizer.endoftext, *tokenizer.encode(fact_prompt([], word)), *tokenizer.encode(f" {colour}")]
        batch.append((ids[:-1], [loss.IGNORED] * (len(ids) - 2) + ids[-1:]))
    inputs, targets = (np.array(part) for part in zip(*batch))
    config = TrainConfig(n_steps=n_steps, lr=1e-3, warmup_steps=0, schedule="linear", betas=(0.9, 0.98))
    for _ in train.train(tuned, _Draws(inputs, targets, seed), config):
        pass
    return tuned.eval()


class _Draws:
    """Batches of 16 labelled examples, drawn anew at each step from (seed, step)."""

    def __init__(self, inputs, targets, seed):
        self.inputs, self.targets, self.seed = inputs, targets, seed

    def __getitem__(self, step):
        rows = np.random.default_rng((self.seed, step)).integers(len(self.inputs), size=16)
        return self.inputs[rows], self.targets[rows]


# --- the table --------------------------------------------------------------------------------------------------------


def rows(seed: int) -> Iterator[dict]:
    """The rows of the table for one seed: four widths and the limits; for three seeds also the two other models."""
    lists, numbers = list_datasets()
    for d_model in SIZES:
        trained = pretrain(lists, d_model, seed)
        yield from _as_rows(seed, accuracies(f"post {d_model}", trained, lists, KINDS))
        if d_model == 64:
            yield from _as_rows(seed, copying_and_labels(trained, lists, seed))
    if seed < 3:
        yield from _as_rows(seed, accuracies("pre 64", pretrain(lists, 64, seed, "pre"), lists, KINDS))
        trained = pretrain(numbers, 64, seed)
        yield from _as_rows(seed, accuracies("number 64", trained, numbers, [("number", "training")]))


def _as_rows(seed: int, found: dict) -> list[dict]:
    return [dict(zip(KEY, (seed, *where)), value=f"{value:.4f}") for where, value in found.items()]


def list_datasets() -> tuple[dataset.Dataset, dataset.Dataset]:
    """The lists of four families, and those of numbers alone."""
    return list_dataset(), list_dataset(("number",), 30_000)


def accuracies(name: str, trained, lists: dataset.Dataset, kinds, n_asked: int = 300) -> dict[tuple, float]:
    """The share of right answers of one model: all K at the end of training, K = 8 at every snapshot.

    trained: a Pretrained, or what has its model, steps, snapshots, at(). kinds: (family, which) of the questions.
    """
    found, last = {}, int(trained.steps[-1])
    for family, which in kinds:
        for n_shots in SHOTS:
            asked = questions(family, n_shots, n_asked, which)
            found[name, family, n_shots, which, last] = is_right(trained.model, lists.tokenizer, asked).mean()
            for step in trained.snapshots if n_shots == 8 else ():
                right = is_right(trained.at(step).eval(), lists.tokenizer, asked)
                found[name, family, n_shots, which, step] = right.mean()
    return found


def copying_and_labels(trained, lists: dataset.Dataset, seed: int) -> dict[tuple, float]:
    """The head that copies best, at every snapshot; and more labelled examples than the window holds."""
    found, last = {}, int(trained.steps[-1])
    asked = questions("symbols", 8, 100)
    for step in trained.snapshots:
        attention = copying_attention(trained.at(step).eval(), lists.tokenizer, asked)
        found["post 64", "copying", 8, "training", step] = attention.max()
    for n in LABELLED:
        known = [known_from_labels(trained.model, lists, n, N_TABLES * seed + i) for i in range(N_TABLES)]
        for name, share in zip(("table, in context", "table, tuned"), np.mean(known, axis=0)):
            found["post 64", name, n, "training", last] = float(share)
    return found


def known_from_labels(model: GPT, lists: dataset.Dataset, n: int, number: int) -> tuple[float, float]:
    """The share of a table's facts known from n labelled examples: in the context, and after fine-tuning."""
    facts = draw_facts(number)
    examples = labelled_examples(facts, n, number)
    tuned = fine_tune(model, lists.tokenizer, examples, number)
    in_context = share_known(model, lists.tokenizer, facts, examples)
    return in_context, share_known(tuned, lists.tokenizer, facts)


# --- the canary -------------------------------------------------------------------------------------------------------


class _Copier(torch.nn.Module):
    """A stand-in for a model: says the token that followed the last token's latest earlier use."""

    def forward(self, ids):
        logits = torch.zeros(*ids.shape, ids.max() + 1)
        for row, said in zip(ids, logits):
            before = (row[:-1] == row[-1]).nonzero()
            said[-1, row[before[-1] + 1] if len(before) else row[-1]] = 9.0
        return logits


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (minigpt.experiments.canaries)."""
    with canaries.short_writing(120) as asked:
        lists, numbers = list_datasets()
    found = {f"written {i}": canaries.checksum(arguments) for i, arguments in enumerate(asked)}
    found |= {"floor": lists.floor.mean, "floor of numbers": numbers.floor.mean}
    models = [(d_model, "post") for d_model in SIZES] + [(64, "pre")]
    found |= _canary_of_training(lists, LEARNED[0], asked[0][0], models)
    found |= _canary_of_training(numbers, "number", asked[1][0], [(64, "post")])
    copier = SimpleNamespace(model=_Copier(), steps=[1], snapshots=(0,), at=lambda step: _Copier())
    for kinds, data in ((KINDS, lists), ([("number", "training")], numbers)):
        for where, share in accuracies("copier", copier, data, kinds, 4).items():
            found[str(where)] = share
            found[f"{where}, ceiling"] = ceiling(questions(where[1], where[2], 4, where[3]))
    return found | _canary_of_tuning(lists)


def _canary_of_training(data, family, n_documents, models) -> dict[str, float]:
    """A few steps of every model; and what the head that copies does after them."""
    found, whole = {}, canaries.part(data, n_documents)
    asked = questions(family, 8, 10)
    for d_model, norm in models:
        train_on = functools.partial(pretrain, d_model=d_model, norm=norm)
        run, numbers = canaries.trained(lambda train_on=train_on: train_on(canaries.part(data, 57)))
        where = f"{norm} {d_model} {family}"
        found |= canaries.under(where, numbers)
        found[f"{where}, sum of rates"] = canaries.rates(lambda train_on=train_on: train_on(whole))
        found[f"{where}, copying"] = copying_attention(run.model, data.tokenizer, asked).max()
    return found


def _canary_of_tuning(lists) -> dict[str, float]:
    """A narrow model after a few steps, fine-tuned on labelled examples; and what a copier makes of them."""
    found, start = {}, canaries.trained(lambda: pretrain(canaries.part(lists, 57), 16, 0))[0].model
    for n in LABELLED:
        facts = draw_facts(N_TABLES * n)
        examples = labelled_examples(facts, n, N_TABLES * n)
        found[f"copier, {n}"] = share_known(_Copier(), lists.tokenizer, facts, examples)
        if n in LABELLED[4::4]:
            tuned = fine_tune(start, lists.tokenizer, examples, n)
            logps = [sample.next_logps(tuned, lists.tokenizer, fact_prompt([], word)) for word in facts]
            answers = [lists.tokenizer.encode(f" {colour}")[0] for colour in facts.values()]
            found[f"tuned, {n}"] = sum(each[answer].item() for each, answer in zip(logps, answers))
    return found
