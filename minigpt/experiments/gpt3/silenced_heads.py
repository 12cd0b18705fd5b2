"""Chapter 03. Which heads learn from the context: each silenced in turn, and models of one, two and three blocks.

The models are `made_up_rules`'s pre-LN models with scaled embeddings, width 64, a thousand steps. Silencing (ablation)
puts a head's mean output in place of its output. Questions have K = 8 and are always the same 300.

The table has a row for each seed, number of blocks, quantity, layer and head (both from 1; 0: of the whole model, or
after silencing nothing): the accuracy of each family, of "category" and "symbols" also by whether an earlier example
shows the word asked with its answer; "copying", the attention of a head from the word asked to the answer shown with it
(induction); "previous", its attention from each answer to the word just before. Where layer and head are named, an
accuracy is that without this head, and "copying left" the best head's copying without it.

Several heads may do the same, and then silencing one of them shows little. So the accuracies are measured also without
all induction heads (copying of at least 1/2), without all previous-token heads of earlier blocks (previous of at least
1/2), and with these two kinds alone, all other heads silenced: "symbols, without induction", "symbols, without
previous", "symbols, these alone". Five seeds take ten minutes on one core, nearly all of it training.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from minigpt.batches import evaluation_batches
from minigpt.experiments import canaries, measured
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt1.heads import ablated, mean_outputs
from minigpt.experiments.gpt3 import in_context, made_up_rules
from minigpt.model import GPT
from minigpt.tokenizer import Tokenizer
from minigpt.worlds.in_context_lists import Question

SEEDS = (0, 1, 2, 3, 4)
KEY = ("seed", "n_layers", "quantity", "layer", "head")
DEPTHS = (1, 2, 3)
N_SHOTS = made_up_rules.N_SHOTS


@torch.no_grad()
def previous_token_attention(gpt: GPT, tokenizer: Tokenizer, asked: list[Question]) -> np.ndarray:
    """Previous-token heads: the share of its attention that each head gives, at an answer, to the word just before it.

    The mean over all answers in the prompts, which must have equally many tokens. Shapes: result (n_layers, H).
    Source: Olsson et al. 2022, "In-context Learning and Induction Heads". Differs: at answers only, not at all tokens.
    """
    ids = torch.tensor([[tokenizer.endoftext, *tokenizer.encode(question.text)] for question in asked])
    answers = ids.shape[1] - 2 * torch.arange(
        1, asked[0].n_shots + 1
    )  # (K,) the word asked is at -1, answers at -2, -4 ...
    maps = torch.stack(gpt.attention_maps(ids))  # (n_layers, B, H, T, T)
    return maps[:, :, :, answers, answers - 1].mean(dim=(1, 3)).cpu().numpy()


def accuracies(gpt: GPT, lists: Dataset, n_asked: int) -> dict[str, float]:
    """Accuracy with K = 8 of each family, and of made-up rules by whether the answer was shown with this word."""
    found = {f: float(made_up_rules.accuracy(gpt, lists, f, n_asked).mean()) for f in in_context.LEARNED}
    for family in ("symbols", "category"):
        found |= made_up_rules.split_by_shown(gpt, lists, family, n_asked)
    return found


def kinds_of_heads(copying: np.ndarray, previous: np.ndarray, least: float = 0.5) -> dict[str, np.ndarray]:
    """Which heads are "induction" heads, and which are "previous"-token heads in a block before one of these.

    Shapes: all (n_layers, H); the results are bool.
    """
    induction = copying >= least
    last = int(np.flatnonzero(induction.any(axis=1)).max(initial=0))
    earlier = np.arange(len(copying))[:, None] < last
    return {"induction": induction, "previous": (previous >= least) & earlier}


@contextlib.contextmanager
def silenced(gpt: GPT, which: np.ndarray, means: Tensor) -> Iterator[GPT]:
    """Inside, every head of `which` (n_layers, H), bool, gives its mean output; afterwards the model is as before."""
    with contextlib.ExitStack() as stack:
        for layer, head in np.argwhere(which).tolist():
            stack.enter_context(ablated(gpt, layer, head, means[layer, head]))
        yield gpt


def rows(seed: int) -> Iterator[dict]:
    """The rows of the table for one seed."""
    lists = made_up_rules.list_dataset()
    for n_layers in DEPTHS:
        trained = made_up_rules.pretrain(lists, seed=seed, n_layers=n_layers)
        for where, value in measure(trained.model, lists).items():
            yield dict(zip(KEY, (seed, n_layers, *where)), value=f"{value:.4f}")


def measure(gpt: GPT, lists: Dataset, n_asked: int = 300, n_copied: int = 60) -> dict[tuple[str, int, int], float]:
    """Everything that is measured of one model: (quantity, layer, head) -> value; layer and head from 1."""
    found = {(name, 0, 0): value for name, value in accuracies(gpt, lists, n_asked).items()}
    asked = in_context.questions("symbols", N_SHOTS, n_copied)
    copying = in_context.copying_attention(gpt, lists.tokenizer, asked)
    previous = previous_token_attention(gpt, lists.tokenizer, asked)
    documents = evaluation_batches(lists.held_out_corpus, lists.tokenizer, gpt.config.n_ctx, 4096)
    means, kinds = mean_outputs(gpt, documents), kinds_of_heads(copying, previous)
    for layer, head in np.ndindex(copying.shape):
        where = (layer + 1, head + 1)
        found[("copying", *where)], found[("previous", *where)] = copying[layer, head], previous[layer, head]
        with ablated(gpt, layer, head, means[layer, head]):
            found |= {(name, *where): value for name, value in accuracies(gpt, lists, n_asked).items()}
            left = in_context.copying_attention(gpt, lists.tokenizer, asked)
        left[layer, head] = 0
        found[("copying left", *where)] = left.max()
    conditions = {f"without {name}": which for name, which in kinds.items()}
    conditions["these alone"] = ~(kinds["induction"] | kinds["previous"])
    for condition, which in conditions.items():
        found[f"heads silenced, {condition}", 0, 0] = float(which.sum())
        with silenced(gpt, which, means):
            found |= {(f"{name}, {condition}", 0, 0): x for name, x in accuracies(gpt, lists, n_asked).items()}
            left = in_context.copying_attention(gpt, lists.tokenizer, asked)
            found[f"copying left, {condition}", 0, 0] = float(np.where(which, 0, left).max())
    return found


def by_depth(quantity: str) -> dict[int, np.ndarray]:
    """An accuracy of the whole models, from the table: number of blocks -> one number for each seed."""
    return {n: measured.get("gpt3/silenced_heads", n_layers=n, quantity=quantity, layer=0, head=0) for n in DEPTHS}


CONDITIONS = {
    "all heads": "", "without the induction heads": ", without induction",
    "without the previous-token heads": ", without previous", "these two kinds alone": ", these alone",
}  # fmt: skip


def by_condition(families: tuple[str, ...], n_layers: int = 3) -> dict[str, dict[str, np.ndarray]]:
    """Accuracies without all heads of a kind, from the table: condition -> {family: one number for each seed}."""
    return {
        name: {
            family: measured.get("gpt3/silenced_heads", n_layers=n_layers, quantity=family + end, layer=0, head=0)
            for family in families
        }
        for name, end in CONDITIONS.items()
    }


def grid(seed: int, quantity: str, n_layers: int = 3, n_heads: int = 4) -> np.ndarray:
    """A quantity of each head, from the table. Shapes: result (n_layers, n_heads)."""
    found = {
        (int(row["layer"]), int(row["head"])): float(row["value"])
        for row in measured.rows("gpt3/silenced_heads")
        if (row["seed"], row["n_layers"], row["quantity"]) == (str(seed), str(n_layers), quantity)
    }
    return np.array([[found[layer + 1, head + 1] for head in range(n_heads)] for layer in range(n_layers)])


def lost(seed: int, quantity: str, n_layers: int = 3, n_heads: int = 4) -> np.ndarray:
    """What an accuracy loses if a head is silenced, from the table. Shapes: result (n_layers, n_heads)."""
    whole = {"seed": str(seed), "n_layers": str(n_layers), "quantity": quantity, "layer": "0", "head": "0"}
    (before,) = [row for row in measured.rows("gpt3/silenced_heads") if whole.items() <= row.items()]
    return float(before["value"]) - grid(seed, quantity, n_layers, n_heads)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (minigpt.experiments.canaries)."""
    with canaries.short_writing(120) as asked:
        lists = made_up_rules.list_dataset()
    found = {"written": canaries.checksum(asked[0]), "floor": lists.floor.mean}
    for n_layers in DEPTHS:
        with canaries.few_updates() as numbers:
            trained = made_up_rules.pretrain(canaries.part(lists, 57), n_layers=n_layers)
        several = measure(trained.model, lists, n_asked=3, n_copied=3)
        numbers |= {" ".join(map(str, where)): value for where, value in several.items()}
        found |= canaries.under(f"{n_layers} blocks", numbers)
    return found
