"""Few-shot evaluation: questions with K examples in the prompt, without any training.

There are two ways, as in GPT-3, section 2.4. Where there are choices, the likeliest completion is the answer; where
there are none, the model writes, and its text is scored (minigpt.prompts). A prompt is the beginning of a document: the
end-of-text token stands before it, as in training.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from minigpt import prompts, sample, stats
from minigpt.model import GPT
from minigpt.prompts import Example
from minigpt.tokenizer import Tokenizer

CHOOSING = ("plain", "per token", "unconditional")
WRITING = ("greedy", "beam")


def fingerprint(gpt: GPT) -> str:
    """SHA-256 of every parameter of a model, bit for bit, and of every gradient that it holds."""
    digest = hashlib.sha256()
    for name, parameter in gpt.named_parameters():
        for tensor in (parameter, parameter.grad):
            digest.update(f"{name} {None if tensor is None else tuple(tensor.shape)}".encode())
            if tensor is not None:
                digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def no_learning(gpt: GPT) -> Iterator[None]:
    """Evaluation without training: in this block dropout is off and no gradient is kept, which is checked at the end.

    Errors: RuntimeError if at the end any parameter differs in a single bit, or a gradient was kept.
    Source: GPT-3, section 2: few-shot learning allows "no gradient updates".
    """
    before, was_training = fingerprint(gpt), gpt.training
    gpt.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        gpt.train(was_training)
    if fingerprint(gpt) != before:
        raise RuntimeError("the model was changed while it was asked: a parameter or a gradient is not what it was")


def score_choices(
    gpt: GPT,
    tokenizer: Tokenizer,
    prompt: str,
    choices: Sequence[str],
    how: str = "per token",
    answer_context: str = "Answer:",
) -> np.ndarray:
    """Multiple-choice scores by likelihood: how well each choice completes a prompt; the highest score wins.

        plain:          log P(choice | prompt)
        per token:      log P(choice | prompt) / tokens of the choice
        unconditional:  log P(choice | prompt) - log P(choice | answer_context)

    The last takes out how likely a choice is anywhere: answer_context only says that some answer follows.

    Shapes: result (n,), float64. Unit: nats.
    Errors: ValueError for another `how`, fewer than two choices, choices given as one string, a choice whose tokens run
    together with those of the prompt, or a prompt that leaves no room for the longest choice in the window.
    Source: GPT-3, section 2.4: "per token" for most tasks, "unconditional" for ARC, OpenBookQA and RACE.
    """
    if how not in CHOOSING:
        raise ValueError(f"expected `how` to be one of {CHOOSING}; got {how!r}")
    if isinstance(choices, str):
        raise ValueError(f"expected at least two choices as texts; got one string, {choices!r}")
    if len(choices) < 2:
        raise ValueError(f"expected at least two choices; got {list(choices)}")
    lengths = np.array([_check_boundary(tokenizer, prompt, choice) for choice in choices])
    _check_window(gpt, tokenizer, prompt, max(lengths), "the longest choice")
    with _asking(gpt):
        scores = sample.continuation_logps(gpt, tokenizer, prompt, list(choices)).double().numpy()
        if how == "per token":
            return scores / lengths
        if how == "unconditional":
            for choice in choices:
                _check_boundary(tokenizer, answer_context, choice)
            scores -= sample.continuation_logps(gpt, tokenizer, answer_context, list(choices)).double().numpy()
    return scores


def choose(gpt: GPT, tokenizer: Tokenizer, prompt: str, choices: Sequence[str], how: str = "per token", **more) -> str:
    """Multiple choice: the choice with the highest score, the first of equals. Arguments, errors: `score_choices`."""
    return choices[int(score_choices(gpt, tokenizer, prompt, choices, how, **more).argmax())]


def answer_probs(
    gpt: GPT, tokenizer: Tokenizer, prompt: str, choices: Sequence[str], how: str = "plain", **more
) -> list[tuple[str, float]]:
    """Probabilities of some choices: the softmax of their scores, in the order of the choices.

    With how="plain" it is P(choice | prompt, the answer is one of these). Errors as in `score_choices`.
    """
    scores = score_choices(gpt, tokenizer, prompt, choices, how, **more)
    shares = np.exp(scores - scores.max())
    return [(choice, float(share)) for choice, share in zip(choices, shares / shares.sum())]


def _check_boundary(tokenizer: Tokenizer, prompt: str, choice: str) -> int:
    """How many tokens a choice has; an error if tokens would cross the place where it begins."""
    ids = tokenizer.encode(choice)
    if not ids or tokenizer.encode(prompt + choice) != tokenizer.encode(prompt) + ids:
        raise ValueError(
            f"expected a completion that begins with a token of its own; but {choice!r} after {prompt[-20:]!r} does "
            "not: put the space before the completion, not behind the prompt"
        )
    return len(ids)


def _check_window(gpt: GPT, tokenizer: Tokenizer, prompt: str, n_new: int, what: str) -> list[int]:
    """The ids of a prompt, end-of-text first; an error if n_new more tokens do not fit (the last is never read)."""
    ids = [tokenizer.endoftext, *tokenizer.encode(prompt)]
    if len(ids) + n_new - 1 > gpt.config.n_ctx:
        raise ValueError(
            f"the window holds n_ctx = {gpt.config.n_ctx} tokens, but the prompt has {len(ids)} with its end-of-text, "
            f"and {what} needs {n_new} more, the last of which is not read: ask with fewer examples (k='fit')"
        )
    return ids


def complete(
    gpt: GPT, tokenizer: Tokenizer, prompt: str, n_new: int = 24, how: str = "greedy", stop: str = "\n", **search
) -> str:
    """Free-form completion: what a model writes after a prompt, up to `stop`, the end of the document, or n_new tokens.

    how: "greedy", the likeliest token each time, or "beam", `beam_search` with its width and length_penalty.
    Errors: ValueError for another `how`, settings of a search if that is not "beam", an empty stop, or what does not
    fit into the window.
    Source: GPT-3, section 2.4, free-form completion. Differs: the paper does not say where an answer ends.
    """
    if how not in WRITING or not stop:
        raise ValueError(f"expected `how` to be one of {WRITING} and a text to stop at; got {how!r} and {stop!r}")
    _check_search(how, search)
    ids = _check_window(gpt, tokenizer, prompt, n_new, "the answer")
    with _asking(gpt):
        search = {"width": 1} if how == "greedy" else search
        written = sample.beam_search(gpt, ids, n_new, stop_ids=_stop_ids(tokenizer, stop), **search).ids
    return sample.document_text(tokenizer, written).split(stop)[0]


def _check_search(how: str, search: dict) -> None:
    if search and how != "beam":
        raise ValueError(f"expected settings of a search for how='beam' only; got {', '.join(search)} for {how!r}")


def _stop_ids(tokenizer: Tokenizer, stop: str) -> set[int]:
    """End-of-text, and every token with the stop text in it."""
    return {i for piece, i in tokenizer.ranks.items() if stop.encode("utf-8") in piece} | {tokenizer.endoftext}


@contextmanager
def _asking(gpt: GPT) -> Iterator[None]:
    """Dropout off, and afterwards as it was."""
    was_training = gpt.training
    gpt.eval()
    try:
        yield
    finally:
        gpt.train(was_training)


@dataclass(frozen=True)
class Result:
    """Result of an evaluation: score, 95 % interval, examples in the prompts, and the answers."""

    how: str
    score: float  # accuracy, or the mean of another score
    low: float  # 95 % interval of the score
    high: float
    n: int  # questions
    k: float  # examples in a prompt, the mean over the questions
    k_least: int  # the fewest examples in a prompt
    n_clipped: int  # questions that got fewer examples than wanted, because the window was full
    scores: tuple[float, ...]  # one for each question
    answers: tuple[str, ...]  # what the model chose or wrote

    def __repr__(self) -> str:
        return f"{self.score:.3f} [{self.low:.3f}, {self.high:.3f}] with K = {self.k:g} on {self.n} questions"


def evaluate(
    gpt: GPT,
    tokenizer: Tokenizer,
    examples: Sequence[Example],
    k: int | str,
    how: str,
    rng: random.Random,
    *,
    pool: Sequence[Example] | None = None,
    task_description: str = "",
    separator: str = "\n",
    most: int | None = None,
    answer_context: str = "Answer:",
    score: Callable[[str, str], float] = prompts.exact_match,
    n_new: int = 24,
    stop: str = "\n",
    **search,
) -> Result:
    """Few-shot evaluation: ask every question with K examples before it, drawn anew for each, and score the answers.

    k: a number, or "fit": as many as fit into the window, at most `most` (None: all of the pool). how: "plain",
    "per token" or "unconditional" for examples with choices, "greedy" or "beam" for those without. pool: where the
    examples come from (None: the other questions); the question itself is never among them. score: (written, right
    answer) -> 0 to 1, for written answers. The rest as in `prompts.build`, `score_choices` and `complete`.

    The model is not changed by it, and that is checked to the bit (`no_learning`).

    Errors: ValueError for no examples, another k or how, settings of a search if `how` is not "beam", a prompt that
    does not fit the window (unless k is "fit"), or choices that are missing where they are needed (where none are
    needed they are not looked at).
    Source: GPT-3, section 2.4.
    """
    _check_evaluation(examples, k, how)
    _check_search(how, search)
    pool = examples if pool is None else pool
    scores, answers, shots, clipped = [], [], [], 0
    with no_learning(gpt):
        for example in examples:
            needed = max(len(tokenizer.encode(c)) for c in example.choices) if how in CHOOSING else n_new
            demonstrations, wanted = _demonstrations(gpt, pool, k, most, rng, example)
            if k == "fit":
                count = prompts.fit(
                    task_description, demonstrations, example, lambda text: len(tokenizer.encode(text)),
                    gpt.config.n_ctx, needed, separator,
                )  # fmt: skip
                demonstrations = demonstrations[:count]
                clipped += count < wanted
            prompt = prompts.build(task_description, demonstrations, example, separator)
            if how in CHOOSING:
                said = choose(gpt, tokenizer, prompt, example.choices, how, answer_context=answer_context)
                scores.append(float(said == example.completion))
            else:
                said = complete(gpt, tokenizer, prompt, n_new, how, stop, **search)
                scores.append(float(score(said, example.completion)))
            answers.append(said)
            shots.append(len(demonstrations))
    low, high = stats.share_interval(scores)
    mean, k_mean = float(np.mean(scores)), float(np.mean(shots))
    return Result(how, mean, low, high, len(scores), k_mean, min(shots), clipped, tuple(scores), tuple(answers))


def _check_evaluation(examples: Sequence[Example], k: int | str, how: str) -> None:
    if not examples:
        raise ValueError("expected at least one example to ask about; got none")
    if k != "fit" and (not isinstance(k, int) or isinstance(k, bool) or k < 0):
        raise ValueError(f"expected k to be a whole number of at least 0, or 'fit'; got {k!r}")
    if how not in (*CHOOSING, *WRITING):
        raise ValueError(f"expected `how` to be one of {(*CHOOSING, *WRITING)}; got {how!r}")
    if how in CHOOSING and not all(len(example.choices) >= 2 for example in examples):
        raise ValueError(f"expected examples with choices, since `how` is {how!r}; some have fewer than two")


def _demonstrations(gpt, pool, k, most, rng, example) -> tuple[list[Example], int]:
    """Examples to put before a question, and how many one would have liked."""
    if k != "fit":
        return prompts.draw(pool, k, rng, example), k
    wanted = sum(other != example for other in pool)
    wanted = wanted if most is None else min(most, wanted)
    return prompts.draw(pool, min(wanted, gpt.config.n_ctx), rng, example), wanted  # each has a token or more
