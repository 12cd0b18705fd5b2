"""Chapter 01, section 7. BERT: masked pre-training of the same Transformer, and hidden words for both."""

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from minigpt import loss
from minigpt.experiments import pretraining
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.pretraining import Pretrained
from minigpt.experiments.sizes import GPT1
from minigpt.model import GPT
from minigpt.worlds import grammar, lexicon, stories


def masked_objective(mask_id: int, padding: int) -> Callable:
    """Masked language modelling loss of BERT, for `train.train`: hide 15 % of the tokens, guess them from both sides.

    Source: BERT, section 3.1, task 1. Differs: no next-sentence task; the symbol [MASK] is our delim token.
    """

    def objective(bert, inputs, targets):
        visible = targets != loss.IGNORED  # (B, T): the document, without the padding behind it
        masked, wanted = loss.mask_tokens(
            inputs, mask_id, bert.config.n_vocab, torch.default_generator, protect=(padding,)
        )  # torch.default_generator: inside a training step it is set from (seed, step) and put back afterwards
        return loss.lm_loss(bert(masked, visible=visible), wanted)

    return objective


def pretrain_masked(data: Dataset, seed: int = 0, n_steps: int | None = None) -> Pretrained:
    """Masked pre-training: the same Transformer without the causal mask, as BERT, on the same documents."""
    objective = masked_objective(data.tokenizer.delim, data.tokenizer.endoftext)
    config, label = replace(GPT1, causal=False), "masked pre-training"
    return pretraining.pretrain(data, config, seed, n_steps, loss_fn=objective, label=label)


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
        (text,) = stories.documents(1, rng, mix)
        if marker in text:
            cut = text.index(marker) + len(marker)
            word = grammar.words(text[cut:])[0]
            found.append((text[:cut], word, text[cut + len(word) :], candidates))
    return found


@torch.no_grad()
def hidden_word(gpt: GPT, bert: GPT, data: Dataset, examples: list) -> dict[str, float]:
    """Surprisal of a hidden word, for readers of one side and of both, exactly and for our models.

    "left": -log P(word | what stands before), "both": -log P(word | before and after), by the grammar; "gpt" reads from
    the left; "bert" reads both sides, with [MASK] in the word's place. Unit: nats, the mean over the examples.
    """
    encode, mask, endoftext = data.tokenizer.encode, data.tokenizer.delim, data.tokenizer.endoftext
    sums = dict.fromkeys(("left", "gpt", "both", "bert"), 0.0)
    for before, word, after, candidates in examples:
        each = [np.exp(grammar.score(data.program, before + other + after).logp) for other in candidates]
        left, (here,) = [endoftext, *encode(before)], encode(word)
        sums["left"] -= np.log(grammar.predict(data.program, before).next_word[word])
        sums["both"] -= np.log(each[candidates.index(word)] / sum(each))
        sums["gpt"] -= gpt(torch.tensor([left]))[0, -1].log_softmax(-1)[here].item()
        sums["bert"] -= bert(torch.tensor([[*left, mask, *encode(after)]]))[0, len(left)].log_softmax(-1)[here].item()
    return {name: float(total / len(examples)) for name, total in sums.items()}
