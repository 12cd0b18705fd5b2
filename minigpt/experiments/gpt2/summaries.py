"""Chapter 02. Does "TL;DR:" help? Summaries with and without the hint, decoded in the same way, slot by slot.

GPT-2's paper adds "TL;DR:" to a text, draws from the two likeliest tokens, and compares with the model that has not
been given the hint. Both are decoded alike here, twice: greedily, and from the two likeliest tokens (mean of 3 tries).
Without the hint most stories simply end; so the end is forbidden for the first 10 tokens. All of the 24 tokens written
count.

The table data/measured/gpt2/summaries.csv has a row for each seed, hint ("TL;DR:" or "none"), decoding and slot: the
share of 100 stories whose hero, animal, verb, colour or thing is in what was written; "all" is their mean. Slot "asks
itself": the share of texts in which the model writes "TL;DR:" unasked. Minutes on one core, if the models are in the
cache.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch

from minigpt import sample
from minigpt.experiments import dataset, measured
from minigpt.experiments.gpt2 import zero_shot, zero_shot_questions
from minigpt.model import GPT
from minigpt.tokenizer import Tokenizer

SEEDS = (0, 1, 2)
KEY = ("seed", "hint", "decoding", "slot")
SLOTS = ("hero", "animal", "verb", "colour", "thing")
HINTS = {"TL;DR:": "\nTL;DR:", "none": ""}
DECODINGS = {"greedy": {"temperature": 0}, "top-k 2": {"top_k": 2}}
N_NEW, N_WITHOUT_END, N_TRIES = 24, 10, 3


@torch.no_grad()
def write(
    gpt: GPT,
    tokenizer: Tokenizer,
    prompts: list[str],
    generator: torch.Generator | None,
    n_new: int,
    n_without_end: int,
    **how,
) -> list[str]:
    """What a model writes after each prompt, up to the end of the document, which may not come among the first tokens.

    P(end of text) is set to 0 for the first n_without_end tokens, before anything is cut. At most n_new tokens, and
    no more than fit into n_ctx. `how`: the settings of sample.next_probs. Prompts of one length are read together.
    Errors: ValueError without a generator, unless temperature is 0, which draws nothing.
    """
    if generator is None and how.get("temperature") != 0:
        raise ValueError(f"expected a torch.Generator to draw with, or temperature=0; got None and {how}")
    ids = [[tokenizer.endoftext, *tokenizer.encode(prompt)] for prompt in prompts]
    by_length, written = defaultdict(list), [""] * len(ids)
    for i, row in enumerate(ids):
        by_length[len(row)].append(i)
    for length, places in sorted(by_length.items()):
        cache, unread, new = gpt.new_cache(), torch.tensor([ids[i] for i in places]), []
        for n in range(min(n_new, gpt.config.n_ctx + 1 - length)):
            logits = gpt.logits(gpt.hidden(unread, cache)[:, -1])
            if n < n_without_end:
                logits[:, tokenizer.endoftext] = -torch.inf
            probs = sample.next_probs(logits, **how)  # on the CPU, where `unread` is and the generator
            unread = torch.multinomial(probs, 1, generator=generator) if generator else probs.argmax(-1, keepdim=True)
            new.append(unread)
        for i, row in zip(places, torch.cat(new, dim=1).tolist()):
            written[i] = sample.document_text(tokenizer, row)
    return written


def measure(gpt: GPT, tokenizer: Tokenizer, seed: int, n: int = 100) -> dict[tuple[str, str, str], float]:
    """(hint, decoding, slot) -> share of the stories."""
    asked, found = zero_shot_questions.questions("summary, no hint", n), {}
    for hint, words in HINTS.items():
        for decoding, how in DECODINGS.items():
            generator = torch.Generator().manual_seed(seed)
            texts = []
            for _ in range(1 if decoding == "greedy" else N_TRIES):
                prompts = [q.prompt + words for q in asked]
                texts += write(gpt, tokenizer, prompts, generator, N_NEW, N_WITHOUT_END, **how)
            shares = slot_shares(asked * (len(texts) // len(asked)), texts)
            shares["asks itself"] = float(np.mean(["TL;DR:" in text for text in texts]))
            found |= {(hint, decoding, slot): share for slot, share in shares.items()}
    return found


def slot_shares(asked: list, texts: list[str]) -> dict[str, float]:
    """Slot -> in how many of the texts it is; "all": the mean of the five."""
    rows_ = [zero_shot_questions.slots(q, text) for q, text in zip(asked, texts, strict=True)]
    shares = {slot: float(np.mean([row[slot] for row in rows_])) for slot in SLOTS}
    return shares | {"all": float(np.mean(list(shares.values())))}


def lead_sentence(n: int = 100) -> dict[str, float]:
    """The shortcut, slot by slot: the first sentence of each story as its summary."""
    asked = zero_shot_questions.questions("summary, no hint", n)
    return slot_shares(asked, [q.prompt.split(".")[0] for q in asked])


def by_slot(hint: str, decoding: str = "top-k 2") -> dict[str, np.ndarray]:
    """Slot -> one number a seed, from the table."""
    slots = (*SLOTS, "all")
    return {slot: measured.get("gpt2/summaries", hint=hint, decoding=decoding, slot=slot) for slot in slots}


# --- the table --------------------------------------------------------------------------------------------------------


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    data = dataset.story_dataset()
    gpt = zero_shot.pretrain(data, seed=seed).model
    for where, value in measure(gpt, data.tokenizer, seed).items():
        yield dict(zip(KEY, (seed, *where)), value=f"{value:.4f}")


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories, sum_of_tokens

    data = stories(3)
    with few_updates(2) as found:
        gpt = zero_shot.pretrain(data, seed=0).model
    found |= {", ".join(where): value for where, value in measure(gpt, data.tokenizer, 0, n=3).items()}
    prompts = [q.prompt for q in zero_shot_questions.questions("summary", 2)]
    for name, how in DECODINGS.items():
        texts = write(gpt, data.tokenizer, prompts, torch.Generator().manual_seed(0), 12, N_WITHOUT_END, **how)
        found[f"written, {name}"] = sum_of_tokens(texts)
    return found | {f"lead sentence, {slot}": share for slot, share in lead_sentence(5).items()}
