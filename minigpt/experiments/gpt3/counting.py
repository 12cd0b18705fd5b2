"""Chapter 03. The family "number" (count on by n, modulo ten) with as much training as the others, in three corpora.

In the other families an answer alone betrays the rule (a food, a French word). Here every digit is equally likely after
each rule, and only the pair tells: nothing can be learned of the rules before adding is known, and nothing of adding
before the rule is known. The corpora of CORPORA break this circle in one way each, or do not.

The table has a row for each seed, corpus, kind of question, number of examples and training step: the accuracy on 300
questions (always the same ones). "silent": the rule must be found out; "named", in the corpus that has such lists: the
list begins with it. At the end of training all K are asked, before it K = 8. The models are pre-LN, width 64, with
scaled embeddings (`made_up_rules`), 3,215 steps each. Three seeds take a quarter of an hour on one core.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

from minigpt.experiments import canaries, dataset, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt3 import in_context, made_up_rules
from minigpt.experiments.pretraining import Pretrained
from minigpt.worlds import grammar, in_context_lists
from minigpt.worlds.in_context_lists import Question

SEEDS = (0, 1, 2)
KEY = ("seed", "corpus", "question", "n_shots", "step")
# Corpus -> weights of (lists of numbers, lists of numbers whose rule is named, lists of symbols)
CORPORA = {"numbers": (1, 0, 0), "a third named": (2, 1, 0), "half symbols": (1, 0, 1)}
N_LISTS, N_STEPS = 90_000, 3215
QUESTIONS = ("silent", "named")


def program(corpus: str):
    """Grammar of a corpus. Errors: an unknown one is a ValueError."""
    if corpus not in CORPORA:
        raise ValueError(f"expected a corpus among {list(CORPORA)}; got {corpus!r}")
    kinds = {
        "number": in_context_lists.program("number"), "named": in_context_lists.program("number", named=True),
        "symbols": in_context_lists.program("symbols"),
    }  # fmt: skip

    def document(d):
        kind = d.hidden(tuple(kinds), CORPORA[corpus])
        kinds[kind](d)
        return kind

    return document


def list_dataset(corpus: str) -> Dataset:
    """The lists of one corpus."""
    return dataset.build_dataset(program(corpus), N_LISTS, 300, 1, in_context.N_VOCAB)


def pretrain(lists: Dataset, seed: int = 0) -> Pretrained:
    """Train a model on the lists of a corpus, or load it if it was trained before."""
    config = made_up_rules.model_config(made_up_rules.SCALED, lists.tokenizer.n_vocab)
    training = replace(sizes.PRETRAINING, lr=in_context.SIZES[made_up_rules.D_MODEL][1])
    return pretraining.pretrain(
        lists, config, seed, N_STEPS, training=training, n_watched=12, tokens_per_batch=in_context.TOKENS_PER_BATCH
    )


def questions(kind: str, n_shots: int, n: int = 300) -> list[Question]:
    """Questions about numbers, always the same ones; kind: "silent", or "named" (the rule stands in front).

    Where the rule is named the best possible learner is always right: `bayes` says so.
    """
    if kind == "silent":
        return in_context.questions("number", n_shots, n)
    if kind != "named":
        raise ValueError(f"expected a kind of question of {QUESTIONS}; got {kind!r}")
    rng, found = random.Random(f"named number {n_shots}"), []
    for _ in range(n):
        written, rule = grammar.sample(in_context_lists.program("number", n_shots + 1, named=True), rng)
        text = written.rsplit(" ", 1)[0]
        answer = str((int(text.rsplit(" ", 1)[1]) + int(rule.rsplit(" ", 1)[1])) % 10)
        found.append(Question("number", text, answer, {answer: 1.0}, n_shots, False))
    return found


def rows(seed: int) -> Iterator[dict]:
    """The rows of the table for one seed."""
    for corpus in CORPORA:
        lists = list_dataset(corpus)
        for where, value in measure(pretrain(lists, seed), lists, corpus).items():
            yield dict(zip(KEY, (seed, corpus, *where)), value=f"{value:.4f}")


def measure(trained: Pretrained, lists: Dataset, corpus: str, n_asked: int = 300) -> dict[tuple[str, int, int], float]:
    """Everything that is measured of one model: (kind of question, K, step) -> accuracy.

    Named rules are asked about only where the corpus has them: without, their words are not in the vocabulary.
    """
    found, last = {}, int(trained.steps[-1])
    for kind in QUESTIONS if CORPORA[corpus][1] else QUESTIONS[:1]:
        for n_shots in in_context.SHOTS:
            asked = questions(kind, n_shots, n_asked)
            for step in trained.snapshots if n_shots == 8 else (last,):
                gpt = trained.model if step == last else trained.at(step).eval()
                found[kind, n_shots, step] = float(in_context.is_right(gpt, lists.tokenizer, asked).mean())
    return found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (minigpt.experiments.canaries)."""
    found = {}
    for corpus in CORPORA:
        with canaries.short_writing(150) as asked:
            lists = list_dataset(corpus)
        found |= {f"{corpus}, written": canaries.checksum(asked[0]), f"{corpus}, floor": lists.floor.mean}
        short = canaries.part(lists, 57)
        with canaries.few_updates(n_snapshots=2) as numbers:
            measured = measure(pretrain(short), short, corpus, 4)
        found |= canaries.under(
            corpus, numbers | {" ".join(map(str, where)): value for where, value in measured.items()}
        )
    for kind in QUESTIONS:
        right = [int(question.answer) for question in questions(kind, 4, 20)]
        found |= {f"answers, {kind}": canaries.checksum(right)}
    return found
