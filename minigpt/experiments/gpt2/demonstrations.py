"""Chapter 02. Where zero-shot skills come from: the same corpus with fewer natural demonstrations, or none.

The corpus shows its tasks in passing: lines of translation, a TL;DR or a question and its answer after a story, "Where
does it live? ..." among the facts. Here a share of these demonstrations is kept (0, 1/64, 1/16, 1/4, all), the others
are cut out of the same documents, and more documents of the same kind, cut in the same way, fill the gap: every model
reads the same number of tokens, each document once. Tokenizer, model (width 64), first weights and questions are the
same. The demonstrations kept at a smaller share are among those kept at a larger one; at share 1 nothing is cut, and
the model is that of gpt2/zero_shot.

The table data/measured/gpt2/demonstrations.csv has a row for each seed, share, task and quantity: "accuracy" and
"log P" (of the right answer, mean, nats) of a task; "demonstrations" of it in the corpus; and of the task "corpus" the
"tokens" read and the "loss" on held-out documents without any demonstration (nats per token). At share 1 also how often
other wordings of two tasks are answered ("exactly", or "somewhere" in the 24 tokens written). A run takes a minute and
a half on a free core, and half as long again for the questions.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import numpy as np

from minigpt import corpus
from minigpt.experiments import dataset, measured, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt2 import summaries, zero_shot, zero_shot_questions
from minigpt.experiments.gpt2.answer_logps import answer_logps
from minigpt.experiments.gpt2.zero_shot_questions import Question
from minigpt.model import GPT
from minigpt.tokenizer import Tokenizer
from minigpt.worlds import grammar

SEEDS = (0, 1, 2)
KEY = ("seed", "share", "task", "quantity")
SHARES = (0.0, 1 / 64, 1 / 16, 1 / 4, 1.0)
D_MODEL = 64

# Which wordings of zero_shot_questions.WORDINGS show the task; a task that is not named here is shown by nothing.
SHOWN_BY = {
    "phrase to French": ("translation lines, English = French",),
    "phrase to French, no pairs": ("translation lines, English = French",),
    "sentence to French": ("translation lines, English = French",),
    "phrase from French": ("translation lines, French = English",),
    "sentence from French": ("translation lines, French = English",),
    "closed book, home": ("Where does it live? ...",),
    "closed book, food": ("What does it eat? ...",),
    "reading": tuple(f"Question: {word} ... Answer: ..." for word in ("Who", "What", "Which")),
    "summary": ("TL;DR: ...",),
}

_FACT = re.compile(r" (?:Where does it live|What does it eat)\? [^.]*\.")


# --- the corpora ------------------------------------------------------------------------------------------------------


def cut(document: str, share: float, rng: random.Random) -> str:
    """A document with each of its demonstrations kept with probability `share`; "" if nothing is left of it.

    A page of translations is one demonstration, and goes as a whole. Draws the same numbers whatever the share is, so
    that what a smaller share keeps a larger one keeps, too.
    """
    lots = [rng.random() for _ in range(3)]
    if " = " in document:
        return document if lots[0] < share else ""
    kept = iter(lots[1:])
    document = _FACT.sub(lambda found: found[0] if next(kept) < share else "", document)
    before, mark, after = document.partition("\n")
    if mark and after.startswith(("TL;DR: ", "Question: ")) and lots[0] >= share:
        return before
    return document


def with_share(data: Dataset, share: float) -> Dataset:
    """The dataset with a share of its demonstrations: as many tokens to read, the same held-out documents."""
    if not 0 <= share <= 1:
        raise ValueError(f"expected a share from 0 to 1; got {share!r}")
    if share == 1:
        return data
    lots, more = random.Random("demonstrations"), random.Random("more documents")
    kept = [text for text in (cut(document, share, lots) for document in data.documents) if text]
    n_missing = _n_tokens(data.corpus) - _n_tokens(corpus.encode(kept, data.tokenizer))
    while n_missing > 0:
        text = cut(grammar.sample(data.program, more)[0], share, lots)
        if text:
            kept.append(text)
            n_missing -= len(data.tokenizer.encode(text)) + 1
    return replace(data, documents=kept, corpus=corpus.encode(kept, data.tokenizer))


def _n_tokens(documents: corpus.Corpus) -> int:
    """Predictions that the documents ask for: their tokens and their ends."""
    return documents.n_tokens + len(documents)


def count(documents: list[str]) -> dict[str, int]:
    """How many demonstrations of each task a corpus has."""
    found = zero_shot_questions.demonstrations(documents)
    return {task: sum(found[wording] for wording in wordings) for task, wordings in SHOWN_BY.items()}


# --- the questions ----------------------------------------------------------------------------------------------------


def questions(task: str, n: int = 100) -> list[Question]:
    """n questions of a task of gpt2/zero_shot; "closed book, home" asks only for homes, of the same questions."""
    name, _, kind = task.partition(", ")
    if name == "closed book" and kind:
        return [q for q in zero_shot_questions.questions(name, n) if q.kind == kind]
    return zero_shot_questions.questions(task, n)


TASKS = (
    "phrase to French", "phrase to French, no pairs", "sentence to French", "phrase from French",
    "sentence from French", "closed book, home", "closed book, food", "closed book, cover", "reading", "summary",
    "last word", "cloze noun", "cloze name", "cloze animal",
)  # fmt: skip


def ask(gpt: GPT, tokenizer: Tokenizer, task: str, n: int = 100) -> dict[str, float]:
    """Accuracy at a task, scored as in gpt2/zero_shot, and "log P" of the right answer where it is written."""
    asked = questions(task, n)
    if asked[0].choices:
        return {"accuracy": float(np.mean([zero_shot.choose(gpt, tokenizer, q) == q.answer for q in asked]))}
    written = zero_shot.write_answers(gpt, tokenizer, [q.prompt for q in asked])
    if task == "summary":
        right = [np.mean(list(zero_shot_questions.slots(q, text).values())) for q, text in zip(asked, written)]
    else:
        right = [text == q.answer for q, text in zip(asked, written)]
    return {"accuracy": float(np.mean(right)), "log P": float(answer_logps(gpt, tokenizer, asked).mean())}


# Wordings of two tasks: as the corpus writes them, and as a person might ask. {English} and {text}, {question} are
# those of the same 100 questions. "translate to French" and "answer the question" are GPT-2's own examples (section 2).
OTHER_WORDINGS = {
    "phrase to French, no pairs": {
        "{English} =": "as the corpus writes it",
        "translate to French: {English}": "an instruction",
        "translate to French: {English} =": "an instruction before the corpus's form",
        "translate to French, {English},": "the paper's list",
        "{English} in French is": "a sentence",
    },
    "reading": {
        "{text}\nQuestion: {question}\nAnswer:": "as the corpus writes it",
        "{text}\nQ: {question}\nA:": "two letters for two words",
        "{text}\n{question}": "the bare question",
        "answer the question: {text} {question}": "an instruction",
        "answer the question, {text}, {question},": "the paper's list",
    },
}


def worded(task: str, wording: str, n: int = 100) -> list[Question]:
    """The questions of a task in another wording; the answers are the same."""
    found = []
    for q in questions(task, n):
        text, _, rest = q.prompt.partition("\nQuestion: ")
        parts = {"English": text.removesuffix(" ="), "text": text, "question": rest.removesuffix("\nAnswer:")}
        found.append(replace(q, prompt=wording.format(**parts)))
    return found


def ask_in_words(gpt: GPT, tokenizer: Tokenizer, task: str, wording: str, n: int = 100) -> dict[str, float]:
    """How often a wording is answered: "exactly", or "somewhere" in the 24 tokens that the model writes after it."""
    asked = worded(task, wording, n)
    prompts = [q.prompt for q in asked]
    written = summaries.write(gpt, tokenizer, prompts, None, n_new=24, n_without_end=0, temperature=0)
    exactly = [re.split(r"[.\n]", text.lstrip("\n"))[0] == q.answer for q, text in zip(asked, written)]
    somewhere = [f"{q.answer.strip()} " in re.sub(r"[.\n,]", " ", text) + " " for q, text in zip(asked, written)]
    return {"exactly": float(np.mean(exactly)), "somewhere": float(np.mean(somewhere))}


# --- the table --------------------------------------------------------------------------------------------------------


def pretrain(data: Dataset, share: float, seed: int = 0) -> pretraining.Pretrained:
    """Train the GPT-2 of width 64 on a corpus with a share of its demonstrations, or load it."""
    return zero_shot.pretrain(with_share(data, share), D_MODEL, seed)


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    data = dataset.story_dataset()
    for share in SHARES:
        cut_data = with_share(data, share)
        trained = zero_shot.pretrain(cut_data, D_MODEL, seed)
        for where, value in measure(trained.model, cut_data, share).items():
            yield dict(zip(KEY, (seed, f"{share:g}", *where)), value=f"{value:.4f}")
        yield dict(zip(KEY, (seed, f"{share:g}", "corpus", "tokens")), value=f"{trained.tokens[-1]}")


def measure(gpt: GPT, data: Dataset, share: float, n_questions: int = 100) -> dict[tuple[str, str], float]:
    """(task, quantity) -> number, of one model and the corpus it has read."""
    found = {(task, "demonstrations"): n for task, n in count(data.documents).items()}
    for task in TASKS:
        found |= {(task, name): value for name, value in ask(gpt, data.tokenizer, task, n_questions).items()}
    found["corpus", "loss"] = loss_without_demonstrations(gpt, data)
    if share == 1:
        for task, wordings in OTHER_WORDINGS.items():
            for wording in wordings:
                scores = ask_in_words(gpt, data.tokenizer, task, wording, n_questions)
                found |= {(f"{task}: {_line(wording)}", name): value for name, value in scores.items()}
    return found


def _line(wording: str) -> str:
    return wording.replace("\n", "\\n")


def loss_without_demonstrations(gpt: GPT, data: Dataset) -> float:
    """Held-out loss on the documents that show no task at all: what cutting should leave alone. Nats per token."""
    plain = [cut(text, 0.0, random.Random(0)) == text for text in data.held_out]
    nats = pretraining.held_out_nats(gpt, data)
    return float(nats[plain].sum() / data.held_out_tokens[plain].sum())


# --- what a lesson draws ----------------------------------------------------------------------------------------------


def by_count(task: str, quantity: str = "accuracy") -> dict[float, list[float]]:
    """Number of demonstrations in the corpus -> a value for each seed, from the table; none is 0."""
    shares = sorted({float(row["share"]) for row in measured.rows("gpt2/demonstrations")})
    found = {}
    for share in shares:
        n = measured.get("gpt2/demonstrations", share=share, task=task, quantity="demonstrations")[0]
        found[n] = measured.get("gpt2/demonstrations", share=share, task=task, quantity=quantity).tolist()
    return found


def panel(task: str) -> dict[str, dict[float, list[float]]]:
    """One panel of plots.task_panels(..., zero=True): accuracy against the number of demonstrations."""
    return {"GPT-2, width 64": by_count(task)}


def references(task: str) -> dict[str, float]:
    """Chance and shortcut of a task: what a score needs no reading for."""
    name, _, kind = task.partition(", ")
    if name != "closed book" or not kind:
        return {"chance": zero_shot.chance(task), "shortcut": zero_shot.shortcut(task)}
    common = Counter(q.answer for q in zero_shot_questions.questions(name, 2000, "shortcut") if q.kind == kind)
    commonest = common.most_common(1)[0][0]
    return {"chance": 1 / len(common), "shortcut": float(np.mean([q.answer == commonest for q in questions(task)]))}


def wordings(task: str) -> list[dict]:
    """Rows of a table: each wording of a task, what it is, and how often it is answered (one number a seed)."""
    found = []
    for wording, what in OTHER_WORDINGS[task].items():
        where = {"share": 1, "task": f"{task}: {_line(wording)}"}
        names = ("exactly", "somewhere")
        scores = {name: measured.get("gpt2/demonstrations", quantity=name, **where).mean() for name in names}
        found.append({"prompt": _line(wording), "which is": what} | scores)
    return found


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import batch_number, few_updates, reading_along, stories, sum_of_tokens, under

    data = stories(4, times=1)
    data = replace(data, documents=[data.tokenizer.decode(data.corpus.document(i).tolist()) for i in range(300)])
    found = {}
    for share in SHARES[::4]:
        less = with_share(data, share)
        with few_updates(2) as run:
            gpt = zero_shot.pretrain(less, D_MODEL, 0).model
        tasks = [task for task in TASKS if not task.startswith("closed book")]
        with reading_along((summaries, "write"), (zero_shot, "write_answers")) as written:
            with mock.patch.dict(globals(), TASKS=tasks if share == 1 else tasks[::4]):
                scores = measure(gpt, less, share, n_questions=2)
            for task in (task for task in TASKS if task not in tasks):  # six questions: with each kind of closed book
                scores |= {(task, name): value for name, value in ask(gpt, less.tokenizer, task, 6).items()}
        found[f"{share:g}, written"] = sum_of_tokens(written)
        found |= under(f"{share:g}", run | {f"{task}, {name}": value for (task, name), value in scores.items()})
        found[f"{share:g}, documents"] = len(less.documents)
    for share in SHARES[1:4]:
        less = with_share(data, share)
        found[f"{share:g}, documents"], found[f"{share:g}, ids"] = len(less.documents), batch_number([less.corpus.ids])
    found["shares"] = sum(i * share for i, share in enumerate(SHARES, 1))
    for task in OTHER_WORDINGS:
        for i, wording in enumerate(OTHER_WORDINGS[task]):
            prompts = [data.tokenizer.encode(q.prompt) for q in worded(task, wording, 3)]
            found[f"{task}, wording {i}"] = sum(sum(ids) for ids in prompts)
    found["width"] = sizes.gpt2(D_MODEL).d_model
    return found
