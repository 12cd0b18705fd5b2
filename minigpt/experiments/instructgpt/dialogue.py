"""Chapter 04. Prompts and answers as token ids, sampled answers, and their true utility."""

import functools

import torch
from torch import Tensor

from minigpt import responses
from minigpt.experiments import dataset
from minigpt.loss import IGNORED
from minigpt.model import GPT
from minigpt.worlds import tales
from minigpt.worlds.tales import Request, Utility

N_VOCAB, LONGEST = 640, 56  # every word of the language is one token; most tokens of an answer


@functools.cache
def tale_dataset(n_documents: int = 40_000) -> dataset.Dataset:
    """Pre-training data of the base model: tales, titled tales, requests that nobody answers, facts, sums."""
    return dataset.build_dataset(tales.text, n_documents, 400, 1, N_VOCAB)


def prompt_ids(requests) -> Tensor:
    """Prompts: requests as token ids. Shapes: result (P, 12): the end-of-text token, then eleven words."""
    tokenizer = tale_dataset().tokenizer
    return torch.tensor([[tokenizer.endoftext, *tokenizer.encode(request.text)] for request in requests])


def answer_ids(answers: list[str]) -> Tensor:
    """Answers as token ids, each with the end token after it. Shapes: result (B, N), -100 on the right."""
    tokenizer = tale_dataset().tokenizer
    rows = [[*tokenizer.encode(answer), tokenizer.endoftext] for answer in answers]
    longest = max(map(len, rows))
    return torch.tensor([row + [IGNORED] * (longest - len(row)) for row in rows])


def answer_texts(answers: Tensor) -> list[str]:
    """Answers as text, without the end token."""
    tokenizer = tale_dataset().tokenizer
    return [tokenizer.decode([i for i in row if i not in (IGNORED, tokenizer.endoftext)]) for row in answers.tolist()]


def utilities(requests, answers: Tensor) -> list[Utility]:
    """True utility of each answer."""
    return [tales.utility(request, text) for request, text in zip(requests, answer_texts(answers), strict=True)]


def utility_fn(prompts: Tensor, answers: Tensor) -> Tensor:
    """True utility, for `ppo.ppo` to report (never to learn from). Shapes: (B, T), (B, N) -> (B,)."""
    asked = by_ids()
    requests = [asked[tuple(row)] for row in prompts.tolist()]
    return torch.tensor([u.total for u in utilities(requests, answers)])


@functools.cache
def by_ids() -> dict[tuple[int, ...], Request]:
    """Requests by the token ids of their prompts."""
    requests = tales.requests("training") + tales.requests("test")
    return dict(zip(map(tuple, prompt_ids(requests).tolist()), requests))


def title_ids(requests) -> Tensor:
    """Prompts for a base model: the same wishes as titles of tales. Shapes: result (P, 9)."""
    tokenizer = tale_dataset().tokenizer
    texts = [f"The {r.animal} and the {r.thing}: {r.mood}." for r in requests]
    return torch.tensor([[tokenizer.endoftext, *tokenizer.encode(text)] for text in texts])


def sample_answers(policy: GPT, requests, seed: int = 0, prompts: Tensor | None = None) -> Tensor:
    """Sampled answers to requests, at temperature 1; `prompts` replaces the usual ids. Shapes: result (P, N)."""
    asked = prompt_ids(requests) if prompts is None else prompts
    generator, parts = torch.Generator().manual_seed(seed), []
    for prompts in asked.split(512):
        answers = responses.rollout(policy, prompts, LONGEST, tale_dataset().tokenizer.endoftext, generator)
        parts.append(torch.nn.functional.pad(answers, (0, LONGEST - answers.shape[1]), value=IGNORED))
    answers = torch.cat(parts)
    return answers[:, : int(responses.answer_lengths(answers).max())]
