"""Chapter 03. Made-up rules with LayerNorm before each step: the scale of the residual stream before training.

Pre-LN models whose first weights are 1 / sqrt(d) do not learn made-up rules (`in_context`): is it the place of
LayerNorm, or that the first block writes over the token, whose embedding is small? The variants of VARIANTS differ from
"pre-LN" in one thing each. That of CURRICULUM differs in none: it is "pre-LN" that reads lists of symbols first.

The table has a row for each seed, variant, quantity and step: at step 0 and after the last, "cosine b" and "std b" of
the residual stream after block b (0: at the input); on the way, the accuracy with K = 8 of each family on 300 questions
(always the same ones); at the end also that of the questions whose answer was shown ("category, shown") or was not, and
the "gap" above the floor, as a share of it. A thousand steps each, as far as that schedule goes: six variants and five
seeds take twenty minutes on one core.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from minigpt.batches import Batch, DocumentBatches, evaluation_batches
from minigpt.corpus import Corpus
from minigpt.exact import entropy
from minigpt.experiments import canaries, measured, pretraining, sizes
from minigpt.experiments.dataset import Dataset
from minigpt.experiments.gpt3 import in_context
from minigpt.experiments.pretraining import Pretrained
from minigpt.loss import IGNORED
from minigpt.model import GPT, GPTConfig
from minigpt.worlds import in_context_lists
from minigpt.worlds.lexicon import LEXICON

SEEDS = (0, 1, 2, 3, 4)
KEY = ("seed", "variant", "quantity", "step")
D_MODEL, N_STEPS, N_LISTS, N_SHOTS = 64, 1000, 30_000, 8
N_SYMBOLS_FIRST = 200  # steps of the curriculum: a fifth


class NormedEmbeddings(GPT):
    """GPT with a LayerNorm on its embeddings: h_0 = LN(U W_e + W_p), where the gain is 1 and is not trained."""

    def embed(self, ids: Tensor, n_past: int = 0) -> Tensor:
        return nn.functional.layer_norm(super().embed(ids, n_past), (self.config.d_model,))


class SmallSteps(GPT):
    """GPT whose first residual steps are a tenth as large: W_o and W_2 of each block x 0.1 before training."""

    def __init__(self, config: GPTConfig, generator: torch.Generator):
        super().__init__(config, generator)
        with torch.no_grad():
            for block in self.blocks:
                block.attn.W_o.weight.mul_(0.1)
                block.mlp.W_2.weight.mul_(0.1)


class SymbolsFirst:
    """Curriculum: lists of symbols alone for the first N_SYMBOLS_FIRST steps, then all lists as without it.

    Both kinds of batches come from the same corpus, and are equally large.
    """

    def __init__(self, batches: DocumentBatches, lists: Dataset):
        corpus, header = lists.corpus, len(lists.tokenizer.encode(in_context_lists.HEADER))
        words = [lists.tokenizer.encode(f" {word}")[0] for word in LEXICON.traits[: in_context_lists.N_WORDS]]
        which = np.flatnonzero(np.isin(corpus.ids[corpus.offsets[:-1] + header], words))
        ids = [corpus.ids[corpus.offsets[i] : corpus.offsets[i + 1]] for i in which]
        offsets = np.concatenate([[0], np.cumsum(corpus.lengths[which])])
        symbols = Corpus(np.concatenate(ids), offsets, corpus.tokenizer_fingerprint)
        self.later = batches
        self.first = DocumentBatches(
            symbols, lists.tokenizer, in_context.N_CTX, in_context.TOKENS_PER_BATCH, batches.seed
        )

    def __len__(self) -> int:
        return len(self.later)

    def __getitem__(self, step: int) -> Batch:
        return (self.first if step < N_SYMBOLS_FIRST else self.later)[step]


@dataclass(frozen=True)
class Variant:
    """What a variant of the model has, and whether it reads lists of symbols first."""

    norm: str = "pre"
    embedding_scale: float = 1.0
    build: type[GPT] = GPT
    symbols_first: bool = False


SCALED = "pre-LN, embeddings x sqrt(d)"
VARIANTS = {
    "post-LN": Variant(norm="post"),
    "pre-LN": Variant(),
    SCALED: Variant(embedding_scale=D_MODEL**0.5),
    "pre-LN, LayerNorm on embeddings": Variant(build=NormedEmbeddings),
    "pre-LN, small first steps": Variant(build=SmallSteps),
}
CURRICULUM = {"pre-LN, symbols first": Variant(symbols_first=True)}  # the model "pre-LN", which reads in another order
EVERY = VARIANTS | CURRICULUM


def model_config(variant: str, n_vocab: int = in_context.N_VOCAB, n_layers: int = 3) -> GPTConfig:
    """Configuration of a variant. Errors: an unknown one is a ValueError."""
    if variant not in EVERY:
        raise ValueError(f"expected a variant among {list(EVERY)}; got {variant!r}")
    config = in_context.model_config(D_MODEL, n_vocab, EVERY[variant].norm)
    return replace(config, embedding_scale=EVERY[variant].embedding_scale, n_layers=n_layers)


def build(variant: str, seed: int, n_vocab: int = in_context.N_VOCAB) -> GPT:
    """A variant before training. Errors: an unknown one is a ValueError."""
    config = model_config(variant, n_vocab)
    return EVERY[variant].build(config, torch.Generator().manual_seed(seed)).eval()


def pretrain(
    lists: Dataset, variant: str = SCALED, seed: int = 0, n_layers: int = 3, n_steps: int = N_STEPS
) -> Pretrained:
    """Train a variant on the lists for so many steps, or load it if it was trained before."""
    curriculum = functools.partial(SymbolsFirst, lists=lists) if EVERY[variant].symbols_first else None
    return pretraining.pretrain(
        lists, model_config(variant, lists.tokenizer.n_vocab, n_layers), seed, n_steps,
        training=replace(sizes.PRETRAINING, lr=in_context.SIZES[D_MODEL][1]), n_watched=12,
        tokens_per_batch=in_context.TOKENS_PER_BATCH, build=EVERY[variant].build, prepare=curriculum,
    )  # fmt: skip


def list_dataset() -> Dataset:
    """As many lists of the four families as a thousand steps read."""
    return in_context.list_dataset(n_documents=N_LISTS)


@torch.no_grad()
def residual_stream(gpt: GPT, lists: Dataset, n_lists: int = 60) -> dict[str, np.ndarray]:
    """Residual stream after each block, over the tokens of held-out lists: how much of the token is left in it.

        cosine_b = mean of  h_b . e / (|h_b| |e|),   e the token's own embedding in W_e

    "std" is the standard deviation of the numbers of h_b. Shapes: results (1 + n_layers,), b = 0 is the input.
    """
    short = canaries.part(lists, 1, n_lists).held_out_corpus
    inputs, targets = next(iter(_batches(short, lists, gpt)))
    read = gpt.here(torch.as_tensor(targets) != IGNORED)  # (B, T), padding is not read
    ids, found = gpt.here(torch.as_tensor(inputs)), {"cosine": [], "std": []}
    own, h = gpt.W_e(ids), gpt.embed(ids)
    for block in [nn.Identity(), *gpt.blocks]:
        h = block(h)
        found["cosine"].append(nn.functional.cosine_similarity(h, own, dim=-1)[read].mean().item())
        found["std"].append(h[read].std().item())
    return {name: np.array(values) for name, values in found.items()}


def _batches(documents, lists: Dataset, gpt: GPT):
    return evaluation_batches(documents, lists.tokenizer, gpt.config.n_ctx, 100_000)


def accuracy(gpt: GPT, lists: Dataset, family: str, n_asked: int = 300) -> np.ndarray:
    """Whether each of some questions with K = 8 is answered right. Shapes: result (n_asked,), bool."""
    return in_context.is_right(gpt, lists.tokenizer, in_context.questions(family, N_SHOTS, n_asked))


def split_by_shown(gpt: GPT, lists: Dataset, family: str, n_asked: int = 300) -> dict[str, float]:
    """Accuracy where an earlier example shows the very word with its answer, and where none does (if any does not)."""
    shown = np.array([question.shown for question in in_context.questions(family, N_SHOTS, n_asked)])
    right = accuracy(gpt, lists, family, n_asked)
    sides = {"shown": shown, "not shown": ~shown}
    return {f"{family}, {side}": float(right[which].mean()) for side, which in sides.items() if which.any()}


def rows(seed: int) -> Iterator[dict]:
    """The rows of the table for one seed."""
    lists = list_dataset()
    for variant in EVERY:
        for where, value in measure(lists, variant, seed).items():
            yield dict(zip(KEY, (seed, variant, *where)), value=f"{value:.4f}")


def measure(lists: Dataset, variant: str, seed: int, n_asked: int = 300) -> dict[tuple[str, int], float]:
    """Everything that is measured of one model: (quantity, step) -> value."""
    trained, found = pretrain(lists, variant, seed), {}
    last = int(trained.steps[-1])
    for step, gpt in ((0, build(variant, seed, lists.tokenizer.n_vocab)), (last, trained.model)):
        for name, values in residual_stream(gpt, lists).items():
            found |= {(f"{name} {block}", step): float(value) for block, value in enumerate(values)}
    for step in trained.snapshots:
        for family in in_context.LEARNED:
            found[family, step] = float(accuracy(trained.at(step).eval(), lists, family, n_asked).mean())
    for family in in_context_lists.MADE_UP:
        parts = split_by_shown(trained.model, lists, family, n_asked)
        found |= {(name, last): value for name, value in parts.items()}
    nats = pretraining.held_out_nats(trained.model, lists)
    gap = entropy.gap(nats, lists.held_out_nats, lists.held_out_tokens)
    return found | {("gap", last): gap.mean / lists.floor.mean}


def over_training(quantity: str, variants=tuple(VARIANTS)) -> dict[str, dict[int, np.ndarray]]:
    """A quantity of the table on the way: variant -> {step: one number for each seed}."""
    found: dict[str, dict[int, list]] = {variant: {} for variant in variants}
    for row in sorted(measured.rows("gpt3/made_up_rules"), key=lambda row: (int(row["step"]), int(row["seed"]))):
        if row["quantity"] == quantity and row["variant"] in found:
            found[row["variant"]].setdefault(int(row["step"]), []).append(float(row["value"]))
    return {name: {step: np.array(values) for step, values in each.items()} for name, each in found.items()}


def token_left(step: int = 0) -> list[tuple]:
    """Rows for a page: each variant with the cosine between the stream and the token's own embedding, by block."""
    where = {"step": step}
    return [
        (
            variant,
            *(
                float(measured.get("gpt3/made_up_rules", variant=variant, quantity=f"cosine {b}", **where).mean())
                for b in range(4)
            ),
        )
        for variant in VARIANTS
    ]


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (minigpt.experiments.canaries)."""
    with canaries.short_writing(120) as asked:
        lists = list_dataset()
    found = {"written": canaries.checksum(asked[0]), "floor": lists.floor.mean}
    for variant in EVERY:
        short = canaries.part(lists, 57)
        with canaries.few_updates(n_snapshots=2) as numbers:
            several = measure(short, variant, 0, n_asked=6)
        found |= canaries.under(
            variant, numbers | {f"{name}, {step}": value for (name, step), value in several.items()}
        )
    return found
