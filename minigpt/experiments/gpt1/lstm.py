"""Chapter 01, lab "Why a Transformer?". An LSTM of the same size, with the same documents, batches and labels.

The table data/measured/gpt1/lstm.csv has a row for each seed, model, quantity, learning rate and step: "gap" (the loss
above the floor, as a share of it) at the steps that are watched, for the rates that were tried on a short run (a quarter
of the documents) and for the whole run at the best of them; the extra surprisal of words that can be copied from
earlier in a story, by kind of word; zero-shot accuracy; and accuracy after fine-tuning (500 test examples). Ten minutes
a seed.
"""

import contextlib
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from minigpt import devices
from minigpt.experiments import dataset, measured, pretraining
from minigpt.experiments.dataset import N_CTX, N_VOCAB, Dataset
from minigpt.experiments.gpt1 import finetuning, zero_shot
from minigpt.experiments.gpt1.finetuning import ABLATION, FineTuning
from minigpt.experiments.pretraining import Pretrained
from minigpt.experiments.sizes import PRETRAINING
from minigpt.io.checks import is_number, is_whole, use_python_numbers
from minigpt.model import draw_normal
from minigpt.worlds import grammar, lexicon, stories

SEEDS = [0, 3, 4]
KEY = ("seed", "model", "quantity", "lr", "step")


@dataclass(frozen=True)
class LSTMConfig:
    """Configuration of an LSTM language model: the sizes of the paper's (one layer), shrunk to our GPT-1's parameters.

    Errors: ValueError naming the field, what was expected and what came.
    Source: GPT-1, section 5, "Ablation studies": a single layer of 2,048 units. Differs: 150 units, so that the two
    models have the same number of parameters within 1 % (the paper does not say that its models have).
    """

    n_vocab: int = N_VOCAB
    n_ctx: int = N_CTX  # an LSTM could read on for ever; the batches are those of the Transformer
    n_layers: int = 1
    d_model: int = 150  # numbers that stand for a token, and units of a layer
    init_std: float = round(150**-0.5, 4)  # of every matrix, as in our GPT-1: 1 / sqrt(the numbers it adds up)
    causal: ClassVar[bool] = True  # it reads from left to right

    def __post_init__(self):
        use_python_numbers(self)
        for name in ("n_vocab", "n_ctx", "n_layers", "d_model"):
            if not is_whole(getattr(self, name), 1):
                raise ValueError(f"LSTMConfig.{name} must be a whole number of at least 1; got {getattr(self, name)!r}")
        if not (is_number(self.init_std) and self.init_std > 0):
            raise ValueError(f"LSTMConfig.init_std must be a number above 0; got {self.init_std!r}")


@dataclass
class State:
    """What an LSTM layer remembers of the text so far: k is its output h, v its cell c, named as in a KeyValueCache."""

    k: Tensor | None = None  # (B, 1, 1, d)
    v: Tensor | None = None  # (B, 1, 1, d)

    def select(self, rows: Tensor | list[int]) -> None:
        """Go on with these rows, in this order; one may come several times."""
        self.k, self.v = self.k[rows], self.v[rows]


@contextlib.contextmanager
def in_float32(x: Tensor) -> Iterator[None]:
    """Inside, an LSTM that reads x on a GPU computes in float32, and not in TF32, which keeps about three digits.

    TF32 is what cuDNN takes for an LSTM if nobody objects. Where gradients are recorded it stays: the backward pass
    comes when this is over, and both passes of a layer are to be computed in the same way. Other settings stay, too.
    """
    if not x.is_cuda or torch.is_grad_enabled():
        yield
        return
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


class LSTM(nn.Module):
    """LSTM language model: token embeddings, LSTM layers, and logits of the next token by the embeddings again.

        i, f, o = sigmoid(W x_t + U h_{t-1} + b), one set of W, U, b each;   g = tanh(W_g x_t + U_g h_{t-1} + b_g)
        c_t = f * c_{t-1} + i * g,   h_t = o * tanh(c_t),   P(u) = softmax(h_t W_e^T)

    Everything that it knows of the text before is in 2 d numbers, h and c. The embeddings enter times sqrt(d), so that
    their numbers are about 1 in size; the forget gate f starts with a bias of 1.
    Shapes: ids (B, T) -> logits (B, T, V). As a GPT it has `config`, `hidden`, `logits` and `new_cache`, so that it is
    trained, fine-tuned and sampled from by the same functions.
    Source: Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000; its bias of 1: Jozefowicz et al. 2015,
    section 2.2; tied embeddings: Press and Wolf 2017. Differs: torch's layer, with two biases where one would do.
    """

    def __init__(self, config: LSTMConfig, generator: torch.Generator):
        super().__init__()
        self.config, d = config, config.d_model
        device = devices.device()
        with torch.device("meta"):  # shapes only: torch's own initial weights are never drawn
            self.W_e = nn.Embedding.from_pretrained(torch.empty(config.n_vocab, d), freeze=False)
            self.blocks = nn.ModuleList(nn.LSTM(d, d, batch_first=True) for _ in range(config.n_layers))
        self.to_empty(device=device)
        with torch.no_grad():
            for name, p in self.named_parameters():
                if p.ndim >= 2:
                    draw_normal(p, config.init_std, generator)
                else:
                    p.zero_()
                    if "bias_ih" in name:
                        p[d : 2 * d] = 1.0  # torch's order of the gates: i, f, g, o

    def hidden(self, ids: Tensor, cache: list[State] | None = None, visible: None = None) -> Tensor:
        """h of the last layer at each position. Shapes: ids (B, T) -> (B, T, d), where they are; cache: new_cache()."""
        home, ids = ids.device, self.here(ids)
        x = self.W_e(ids) * math.sqrt(self.config.d_model)  # (B, T, d)
        for i, layer in enumerate(self.blocks):
            before = None
            if cache is not None and cache[i].k is not None:
                before = tuple(kept[:, 0, 0][None].contiguous() for kept in (cache[i].k, cache[i].v))  # (1, B, d)
            if x.is_cuda and len({p.untyped_storage().data_ptr() for p in layer.parameters()}) > 1:
                layer.flatten_parameters()  # a GPU wants a layer's weights side by side, as those of a copy are not
            with in_float32(x):
                x, (h, c) = layer(x, before)
            if cache is not None:
                cache[i].k, cache[i].v = h[0][:, None, None], c[0][:, None, None]
        return x.to(home)

    def here(self, x: Tensor) -> Tensor:
        """The same numbers on the device of this model."""
        return x.to(self.W_e.weight.device)

    def logits(self, h: Tensor) -> Tensor:
        """Logits of the next token: h W_e^T. Shapes: h (..., d) -> (..., V)."""
        return nn.functional.linear(self.here(h), self.W_e.weight).to(h.device)

    def forward(self, ids: Tensor, cache: list[State] | None = None, visible: None = None) -> Tensor:
        return self.logits(self.hidden(ids, cache))  # (B, T, V)

    def new_cache(self) -> list[State]:
        """An empty state for each layer, for reading a text piece by piece."""
        return [State() for _ in self.blocks]

    def n_params(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.parameters())


# --- how it is trained ------------------------------------------------------------------------------------------------

LSTM1 = LSTMConfig()
RATES = (1e-3, 3e-3, 1e-2, 3e-2)  # tried on a quarter of the documents; each seed goes on with its best


def pretrain_lstm(data: Dataset, seed: int, lr: float, n_steps: int | None = None) -> Pretrained:
    """Pre-train the LSTM on the documents, batches and schedule of the Transformer, at a learning rate of its own."""
    training = replace(PRETRAINING, lr=lr)
    return pretraining.pretrain(data, LSTM1, seed, n_steps, training, label="LSTM", build=LSTM)


# --- words that can be copied -----------------------------------------------------------------------------------------

OBJECTS = {f" {thing.name}" for thing in lexicon.OBJECTS}
NAMES = {f" {character.name}" for character in lexicon.CHARACTERS}
REACTIONS = {f" {verb}" for mood in lexicon.MOODS for verb in mood.reactions}
ADJECTIVES = {f" {adjective}" for mood in lexicon.MOODS for adjective in mood.adjectives}
ANIMALS = {f" {animal.name}" for animal in lexicon.ANIMALS}
ENDINGS = ([" took", " the"], [" left", " the"], [" kept", " the"])
KINDS = (
    "object, again at once", "object in the ending, no friend between", "object in the ending, a friend between",
    "name in the ending", "verb in the ending", "animal in the summary",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A word of a story that is settled (the verb: half settled) by an earlier one, `back` words before it."""

    kind: str
    index: int  # of the word
    back: int


def places(words: list[str]) -> list[Place]:
    """The words of a story that the words before decide: the object, the name, the verb of the mood, the animal.

    >>> places(["She", " lost", " a", " key", ".", " The", " key", " was", " dusty", "."])
    [Place(kind='object, again at once', index=6, back=3)]
    """
    found, last = [], {}
    for i, word in enumerate(words):
        before, kind = words[max(0, i - 2) : i], None
        if word in OBJECTS and before[1:] == [" The"]:
            kind = "object, again at once"
        elif word in OBJECTS and before in ENDINGS and "Question" not in words[:i]:
            kind = f"object in the ending, {'a' if ' Then' in words[:i] else 'no'} friend between"
        elif word in NAMES and before in ([" the", " end"], [" At", " last"]):
            kind = "name in the ending"
        elif word in REACTIONS and before[-1] in NAMES:  # not a copy: the hero's first adjective gives the mood away
            found.append(Place("verb in the ending", i, i - next(j for j, w in enumerate(words) if w in ADJECTIVES)))
        elif word in ANIMALS and "TL" in words[:i]:
            kind = "animal in the summary"
        if kind is not None:
            found.append(Place(kind, i, i - last[word]))
        last[word] = i
    return found


def copy_places(n_stories: int) -> list[tuple[str, list[Place]]]:
    """Stories, each with its words that earlier words decide: the same for every model."""
    texts = stories.documents(n_stories, random.Random("words to copy"), {"story": 1.0})
    return [(text, places(list(grammar.words(text)))) for text in texts]


def exact_nats(data: Dataset, stories_and_places: list) -> list[list[float]]:
    """The surprisal of the words at these places for a reader who knows the grammar: 0 for all but the verb."""
    found = []
    for text, found_places in stories_and_places:
        words, nats = list(grammar.words(text)), []
        for place in found_places:
            p = grammar.predict(data.program, "".join(words[: place.index])).next_word[words[place.index]]
            nats.append(max(0.0, -math.log(p)))
        found.append(nats)
    return found


def extra_nats(model, data: Dataset, stories_and_places: list, exact: list[list[float]]) -> dict[str, float]:
    """Extra surprisal of a model over the exact one, by kind of place: the mean, in nats."""
    extra = {kind: [] for kind in KINDS}
    for (text, found), truth in zip(stories_and_places, exact, strict=True):
        nats = [each for _, each in pretraining.word_nats(model, data, text)]
        for place, right in zip(found, truth, strict=True):
            extra[place.kind].append(nats[place.index] - right)
    return {kind: float(np.mean(values)) for kind, values in extra.items() if values}


# --- the table --------------------------------------------------------------------------------------------------------


def plan() -> list[FineTuning]:
    """Every way in which the LSTM is fine-tuned: two rates for each start, and with the auxiliary objective."""
    ways = [("pretrained", 0.0, 1e-3), ("pretrained", 0.0, 3e-3), ("scratch", 0.0, 1e-3), ("scratch", 0.0, 3e-3),
            ("pretrained", 0.5, 1e-3), ("pretrained", 0.5, 3e-3)]  # fmt: skip
    return [FineTuning(task, n, start, aux, lr=lr) for task, n in ABLATION.items() for start, aux, lr in ways]


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    data = dataset.story_dataset()
    for where, value in measure(data, seed, n_short=1125):
        yield dict(zip(KEY, (seed, *where)), value=f"{value:.4f}")


def measure(
    data: Dataset, seed: int, n_short: int, n_stories: int = 300, n_test: int = 500, ways=None
) -> Iterator[tuple[tuple, float]]:
    """Everything that is measured of one seed: ((model, quantity, lr, step), value), one after the other."""
    tried = {}
    for lr in RATES:
        tried[lr] = _gap(float(pretrain_lstm(data, seed, lr, n_short).held_out[-1]), data)
        yield ("LSTM, short run", "gap", lr, n_short), tried[lr]
    best = min(tried, key=tried.get)
    lstm, transformer = pretrain_lstm(data, seed, best), pretraining.pretrain(data, seed=seed)
    to_copy = copy_places(n_stories)
    exact = exact_nats(data, to_copy)
    for name, trained, lr in (("LSTM", lstm, best), ("Transformer", transformer, PRETRAINING.lr)):
        yield (name, "parameters", lr, 0), trained.model.n_params()
        for step, loss in zip(trained.watched.tolist(), trained.held_out.tolist(), strict=True):
            model = trained.at(step)
            yield (name, "gap", lr, step), _gap(loss, data)
            for kind, nats in extra_nats(model, data, to_copy, exact).items():
                yield (name, kind, lr, step), nats
    for task in ABLATION:  # the Transformer's, on the same examples, are in gpt1/zero_shot
        accuracy = zero_shot.accuracy(lstm.model, data, task, finetuning.test_examples(task, n_test))
        yield ("LSTM", f"zero-shot {task}", best, int(lstm.steps[-1])), accuracy
    tests = {task: finetuning.test_batches(data, task, n_test) for task in ABLATION}
    for how in plan() if ways is None else ways:
        accuracy = finetuning.accuracy(finetuning.fine_tune(lstm.model, data, how, seed), tests[how.task])
        aux = ", with the auxiliary objective" if how.aux_weight else ""
        yield ("LSTM", f"fine-tuned {how.task}, {how.start}{aux}", how.lr, how.n_steps), accuracy


def accuracies(task: str, start: str, aux_weight: float = 0.0) -> np.ndarray:
    """Stored accuracies of the LSTM on a task, one for each seed, at the learning rate that is better on average.

    It is chosen on the test examples, which favours the LSTM a little. Shapes: result (n_seeds,).
    """
    aux = ", with the auxiliary objective" if aux_weight else ""
    each = [measured.get("gpt1/lstm", model="LSTM", quantity=f"fine-tuned {task}, {start}{aux}", lr=lr)
            for lr in (1e-3, 3e-3)]  # fmt: skip
    return max(each, key=np.mean)


def _gap(nats_per_token: float, data: Dataset) -> float:
    """A held-out loss as its distance to the floor, as a share of the floor."""
    return nats_per_token / data.floor.mean - 1


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, stories

    data = stories(3)
    with few_updates(2) as found:
        for (model, quantity, lr, step), value in measure(data, 0, 20, 1, 4, plan()[::5]):
            found[f"{model}, {quantity}, {lr}, step {step}"] = value
    for i, (_, each) in enumerate(copy_places(3)):
        found[f"story {i}, words to copy"] = float(sum(place.index * place.back for place in each))
    return found | {"floor": data.floor.mean}
