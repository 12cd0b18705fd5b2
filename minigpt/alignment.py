"""Chapter 04: from a model that continues text to one that does what it is asked, in InstructGPT's three steps.

Classroom: the language of `assistant`, the networks of `model` and `reward`, the loops of `train` and `ppo`. Every
step is kept in the cache under everything it depends on, the steps before it included; a seed goes through all of them.
"""

import copy
import dataclasses
import functools
import random
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from minigpt import assistant, classroom, corpus, grammar, lexicon, loss, model, ppo, reward, sample, train, truth
from minigpt.assistant import Request, Utility
from minigpt.checkpoint import cached, code_fingerprint
from minigpt.loss import IGNORED
from minigpt.model import GPT, GPTConfig
from minigpt.ppo import ActorCritic, PPOConfig
from minigpt.progress import progress
from minigpt.reward import RewardModel, readable
from minigpt.train import TrainConfig

N_VOCAB, LONGEST = 640, 56  # every word of the language is one token; most tokens of an answer
BASE = GPTConfig(
    n_vocab=638, n_ctx=96, n_layers=2, n_heads=4, d_model=64, norm="pre", init="width", init_std=0.125,
    position_init="sinusoid",
)  # fmt: skip
LARGE = replace(
    BASE, n_layers=4, d_model=128, n_heads=8, init_std=round(128**-0.5, 4)
)  # blocks of eight times the size
PRETRAINING = TrainConfig(n_steps=1, lr=4e-3, final_lr_fraction=0.03, betas=(0.9, 0.98))
BATCH = 16  # demonstrations in a batch; InstructGPT: 32, and 8 for the largest model
DROPOUT, N_DEMONSTRATIONS = 0.2, 600  # InstructGPT: 0.2 and about 13,000
NOISE = 0.65  # of the labelers: two of them then agree on about 73 % of all pairs, as in the paper
TIE = 0.15  # labelers give the same rank to answers that seem as close as this
ANSWERS = (4, 5, 6, 7, 8, 9)  # K: how many answers to one prompt are ranked, drawn anew for each prompt
AUX_WEIGHT = 0.3  # of the language-model loss while the reward model learns: GPT-1's auxiliary objective
PPO = PPOConfig(n_iterations=150, end_id=0, longest=LONGEST, batch_size=64, n_minibatches=2, kl_coef=0.05)


@dataclass(frozen=True)
class Trained:
    """A model, what it was made from, and numbers that were written down on the way."""

    model: torch.nn.Module
    key: dict
    curves: dict[str, np.ndarray]


# --- words and ids -----------------------------------------------------------------------------------------------------


@functools.cache
def library(n_documents: int = 40_000) -> classroom.Library:
    """The text that the base model learns from: tales, titled tales, requests that nobody answers, facts, sums."""
    recipe = {"code": code_fingerprint(grammar, lexicon, assistant)}
    return classroom.write(assistant.text, recipe, n_documents, 400, 1, N_VOCAB)


def prompt_ids(requests) -> Tensor:
    """Requests as ids. Shapes: result (P, 12): the end-of-text token, then eleven words."""
    tokenizer = library().tokenizer
    return torch.tensor([[tokenizer.endoftext, *tokenizer.encode(request.text)] for request in requests])


def answer_ids(answers: list[str]) -> Tensor:
    """Answers as ids, each with the end token behind it. Shapes: result (B, N), -100 on the right."""
    tokenizer = library().tokenizer
    rows = [[*tokenizer.encode(answer), tokenizer.endoftext] for answer in answers]
    longest = max(map(len, rows))
    return torch.tensor([row + [IGNORED] * (longest - len(row)) for row in rows])


def answer_texts(answers: Tensor) -> list[str]:
    """Answers as text, without the end token."""
    tokenizer = library().tokenizer
    return [tokenizer.decode([i for i in row if i not in (IGNORED, tokenizer.endoftext)]) for row in answers.tolist()]


def utilities(requests, answers: Tensor) -> list[Utility]:
    """What each answer is really worth."""
    return [assistant.utility(request, text) for request, text in zip(requests, answer_texts(answers), strict=True)]


def utility_fn(prompts: Tensor, answers: Tensor) -> Tensor:
    """The true utility, for `ppo.ppo` to report (never to learn from). Shapes: (B, T), (B, N) -> (B,)."""
    asked = _by_ids()
    requests = [asked[tuple(row)] for row in prompts.tolist()]
    return torch.tensor([u.total for u in utilities(requests, answers)])


@functools.cache
def _by_ids() -> dict[tuple[int, ...], Request]:
    requests = assistant.requests("training") + assistant.requests("test")
    return dict(zip(map(tuple, prompt_ids(requests).tolist()), requests))


def title_ids(requests) -> Tensor:
    """The same wishes as titles of tales. Shapes: result (P, 9)."""
    tokenizer = library().tokenizer
    texts = [f"The {r.animal} and the {r.thing}: {r.mood}." for r in requests]
    return torch.tensor([[tokenizer.endoftext, *tokenizer.encode(text)] for text in texts])


def ask(policy: GPT, requests, seed: int = 0, prompts: Tensor | None = None) -> Tensor:
    """Answers to requests, drawn at temperature 1; `prompts` replaces the usual ids. Shapes: result (P, N)."""
    asked = prompt_ids(requests) if prompts is None else prompts
    generator, parts = torch.Generator().manual_seed(seed), []
    for prompts in asked.split(512):
        answers = ppo.rollout(policy, prompts, LONGEST, library().tokenizer.endoftext, generator)
        parts.append(torch.nn.functional.pad(answers, (0, LONGEST - answers.shape[1]), value=IGNORED))
    answers = torch.cat(parts)
    return answers[:, : int(reward.answer_lengths(answers).max())]


# --- step 0 and step 1: the base model, and supervised fine-tuning -----------------------------------------------------


def base(seed: int = 0, config: GPTConfig = BASE) -> Trained:
    """The language model that everything starts from; it has read many requests, and not one answer to any of them."""
    training = replace(PRETRAINING, lr=PRETRAINING.lr * BASE.d_model / config.d_model)
    found = classroom.pretrain(library(), config, seed, training=training, tokens_per_batch=1024, n_watched=8)
    key = {"library": library().recipe, "model": dataclasses.asdict(config), "seed": seed}
    return Trained(found.model, key, {"steps": found.watched, "held_out": found.held_out})


def demonstrations(n: int, seed: int = 0, which: str = "training") -> tuple[list[Request], list[str]]:
    """Requests, and what labelers wrote to show what they want."""
    rng = random.Random(f"demonstrations {which} {seed}")
    requests = [rng.choice(assistant.requests(which)) for _ in range(n)]
    return requests, [grammar.sample(assistant.demonstration(request), rng)[0] for request in requests]


def supervised(requests, answers: list[str]) -> tuple[Tensor, Tensor]:
    """Prompts and answers as inputs and targets: only the answers are to be predicted. Shapes: (B, T + N - 1) each."""
    prompts, answers = prompt_ids(requests), answer_ids(answers)
    inputs = readable(prompts, answers[:, :-1])
    return inputs, torch.cat([torch.full((len(prompts), prompts.shape[1] - 1), IGNORED), answers], dim=1)


@dataclass(frozen=True)
class Shuffled:
    """Batches of some rows, in a fresh order in every epoch; `batches[step]` goes on for ever."""

    rows: tuple[Tensor, ...]
    size: int
    seed: int

    def __len__(self) -> int:
        return -(-len(self.rows[0]) // self.size)

    def __getitem__(self, step: int) -> tuple[Tensor, ...]:
        epoch, place = divmod(step, len(self))
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.rows[0]))
        chosen = torch.from_numpy(order[place * self.size : (place + 1) * self.size])
        return tuple(each[chosen] for each in self.rows)


def mixed(demonstrated: "Shuffled", share: float, seed: int):
    """Batches in which this share of the rows is pre-training text, so that it is not forgotten.

    Source: InstructGPT, appendix C.3 (10 % in the model that RL starts from). Errors: a share outside [0, 1), ValueError.
    """
    if not 0 <= share < 1:
        raise ValueError(f"expected a share from 0 to below 1; got {share}")
    n_rows = round(demonstrated.size * share / (1 - share))
    if not n_rows:
        return demonstrated
    texts = corpus.DocumentBatches(library().corpus, library().tokenizer, BASE.n_ctx, 1024, 2000 + seed)
    return _Mixed(demonstrated, texts, n_rows)


@dataclass(frozen=True)
class _Mixed:
    demonstrated: "Shuffled"
    texts: corpus.DocumentBatches
    n_rows: int

    def __len__(self) -> int:
        return len(self.demonstrated)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        rows = self.demonstrated[step]
        texts = [torch.as_tensor(each[: self.n_rows]) for each in self.texts[step]]
        longest = max(rows[0].shape[1], texts[0].shape[1])
        return tuple(
            torch.cat([torch.nn.functional.pad(part, (0, longest - part.shape[1]), value=fill) for part in parts])
            for fill, *parts in zip((0, IGNORED), rows, texts)
        )


def sft(
    start: Trained, seed: int = 0, n_epochs: int = 16, n: int = N_DEMONSTRATIONS, lr: float = 2e-3, mix: float = 0.1,
    dropout: float = DROPOUT, watch: bool = False,
) -> Trained:  # fmt: skip
    """Step 1: fine-tune on demonstrations, with the loss on the answers alone.

    curves: "held_out" nats per token of unseen demonstrations after each epoch; with watch=True also "utility", the
    true utility of its answers to 256 test requests. Source: InstructGPT, appendix C.1.
    """
    key = {
        "start": start.key, "seed": seed, "epochs": n_epochs, "n": n, "lr": lr, "mix": mix, "dropout": dropout,
        "watch": watch, "code": _code(sft, mixed),
    }  # fmt: skip

    def build():
        policy = _with_dropout(start.model, dropout)
        batches = mixed(Shuffled(supervised(*demonstrations(n, seed)), BATCH, seed), mix, seed)
        held_out = [supervised(*demonstrations(400, 0, "test"))]
        config = TrainConfig(n_epochs * len(batches), lr=lr, final_lr_fraction=0.1, betas=(0.9, 0.95), weight_decay=0)
        records = train.train(policy, batches, config, generator=torch.Generator().manual_seed(seed))
        curves = {"held_out": [train.evaluate(policy, held_out).nats_per_token], "utility": [mean_utility(policy)]}
        for record in progress(records, config.n_steps, label="learning from demonstrations"):
            if record.step % len(batches) == 0:
                curves["held_out"].append(train.evaluate(policy, held_out).nats_per_token)
                curves["utility"].append(mean_utility(policy) if watch else float("nan"))
        return policy, curves

    return _stage("sft", key, lambda: _with_dropout(start.model, dropout), build)


def mean_utility(policy: GPT, seed: int = 0) -> float:
    """The mean true utility of one answer to each of the 256 test requests."""
    requests = assistant.requests("test")
    return float(np.mean([u.total for u in utilities(requests, ask(policy, requests, seed))]))


# --- step 2: rankings, and the reward model -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Rankings:
    """Answers to prompts, and how labelers ranked them. P prompts, at most K answers, N tokens."""

    prompts: Tensor  # (P, T)
    answers: Tensor  # (P, K, N), -100 on the right
    ranks: Tensor  # (P, K): 1 is best, equal numbers are ties, 0 is no answer
    utilities: Tensor  # (P, K): what the labelers saw through their noise

    def rows(self, chosen) -> "Rankings":
        """Some of the prompts."""
        return Rankings(*(getattr(self, each.name)[chosen] for each in dataclasses.fields(self)))


def rankings(start: Trained, n_prompts: int, seed: int = 0, which: str = "training") -> Rankings:
    """Ask a model each prompt K times, K from 4 to 9, and let a labeler rank the answers."""
    key = {"start": start.key, "n": n_prompts, "seed": seed, "which": which, "code": _code(rankings, noise=NOISE)}

    def build():
        rng = random.Random(f"rankings {which} {seed}")
        requests = [rng.choice(assistant.requests(which)) for _ in range(n_prompts)]
        counts = [rng.choice(ANSWERS) for _ in requests]
        asked = [request for request, count in zip(requests, counts) for _ in range(count)]
        drawn = ask(start.model, asked, seed)
        worth = [u.total for u in utilities(asked, drawn)]
        answers = torch.full((n_prompts, max(ANSWERS), drawn.shape[1]), IGNORED)
        ranks, known = torch.zeros(n_prompts, max(ANSWERS), dtype=torch.int64), torch.zeros(n_prompts, max(ANSWERS))
        first = 0
        for i, count in enumerate(counts):
            here = slice(first, first + count)
            answers[i, :count], known[i, :count] = drawn[here], torch.tensor(worth[here])
            ranks[i, :count] = torch.tensor(assistant.ranking(worth[here], NOISE, rng, TIE))
            first += count
        tensors = {"prompts": prompt_ids(requests), "answers": answers, "ranks": ranks, "utilities": known}
        return tensors, {}

    return Rankings(**cached("rankings", key, build).tensors)


def scores_of(reward_model: RewardModel, prompts: Tensor, answers: Tensor, ranks: Tensor, with_text: bool = False):
    """The score of every answer that is there, one forward pass each; and the text loss of those answers, if wanted.

    Shapes: prompts (P, T), answers (P, K, N), ranks (P, K); result (P, K), 0 where there is no answer.
    """
    there = ranks != reward.ABSENT
    rows = answers[there]
    rows = rows[:, : int(reward.answer_lengths(rows).max())]  # (M, N)
    asked = prompts[there.nonzero()[:, 0]]  # (M, T)
    h = reward_model.gpt.hidden(readable(asked, rows))
    scores = torch.zeros(ranks.shape, dtype=h.dtype).masked_scatter(there, reward_model.read(h, asked, rows))
    if not with_text:
        return scores
    logits = reward_model.gpt.logits(h[:, prompts.shape[1] - 1 : -1])  # (M, N, V)
    return scores, loss.lm_loss(logits, rows)


def comparison_loss(reward_model: RewardModel, prompts: Tensor, answers: Tensor, ranks: Tensor) -> Tensor:
    """The ranking loss, and a little of the language-model loss on the same answers (GPT-1's L3)."""
    scores, text = scores_of(reward_model, prompts, answers, ranks, with_text=True)
    return reward.ranking_loss(scores, ranks) + AUX_WEIGHT * text


def reward_model(
    start: Trained, data: Rankings, seed: int = 0, n_epochs: int = 2, lr: float = 2e-3, label: str = "reward model"
) -> Trained:
    """Step 2: learn from rankings, then move the scores so that demonstrations have the mean 0.

    Source: InstructGPT, section 3.5 and appendix C.2. Differs: two epochs, and the auxiliary text loss: our model is so
    small that it has to find out first that an answer can be compared with its request.
    """
    key = {
        "start": start.key, "data": [tuple(data.ranks.shape), int(data.ranks.sum()), float(data.utilities.sum())],
        "seed": seed, "epochs": n_epochs, "lr": lr, "code": _code(reward_model, comparison_loss, scores_of, aux=AUX_WEIGHT),
    }  # fmt: skip

    def fresh():
        return RewardModel(_with_dropout(start.model))

    def build():
        judge = fresh()
        batches = Shuffled((data.prompts, data.answers, data.ranks), 4, seed)
        n_steps = n_epochs * len(batches)
        config = TrainConfig(
            n_steps, lr=lr, warmup_steps=min(100, n_steps // 10), schedule="linear", betas=(0.9, 0.95), weight_decay=0
        )
        losses = []
        for record in progress(train.train(judge, batches, config, comparison_loss), n_steps, label=label):
            losses.append(record.loss)
        requests, answers = demonstrations(400, seed)
        reward.centre(judge, prompt_ids(requests), answer_ids(answers))
        return judge, {"losses": losses}

    return _stage("reward-model", key, fresh, build)


@torch.no_grad()
def judged(judge: RewardModel, data: Rankings) -> dict[str, float]:
    """How good a reward model is: agreement with the labelers' rankings, and with the true utilities."""
    parts = [
        scores_of(judge, part.prompts, part.answers, part.ranks)
        for part in (data.rows(slice(i, i + 64)) for i in range(0, len(data.ranks), 64))
    ]
    scores = torch.cat(parts)
    true_ranks = true_ranking(data)
    return {
        "loss": float(reward.ranking_loss(scores, data.ranks)),
        "labelers": reward.agreement(scores, data.ranks),
        "truth": reward.agreement(scores, true_ranks),
        "best on labels": reward.agreement(data.utilities, data.ranks),  # a reward model that knows the utilities
    }


def true_ranking(data: Rankings) -> Tensor:
    """How somebody without noise would rank. Shapes: (P, K)."""
    there = data.ranks != reward.ABSENT
    better = (data.utilities[:, None, :] > data.utilities[:, :, None]) & there[:, None, :]  # (P, i, j): j beats i
    return torch.where(there, 1 + better.sum(dim=2), 0)


# --- step 3: PPO ---------------------------------------------------------------------------------------------------------


def rlhf(start: Trained, judge: Trained, seed: int = 0, label: str = "PPO", reward_fn=None, **changes) -> Trained:
    """Step 3: PPO from the SFT model, against the reward model; `changes` are fields of PPOConfig.

    curves: every field of ppo.Record, and "text": nats per token on pre-training text, now and then. `reward_fn`
    replaces the reward model's score (its source is then part of the key). Source: InstructGPT, section 3.5.
    """
    config = replace(PPO, end_id=library().tokenizer.endoftext, **changes)
    key = {
        "start": start.key, "judge": judge.key, "seed": seed, "config": dataclasses.asdict(config),
        "code": _code(rlhf, ppo, reward, *([reward_fn] if reward_fn else [])),
    }  # fmt: skip

    def fresh():
        return ActorCritic(_with_dropout(start.model), copy.deepcopy(judge.model))

    def build():
        agent, batches = fresh(), None
        if config.ptx_coef > 0:
            batches = corpus.DocumentBatches(library().corpus, library().tokenizer, BASE.n_ctx, 2048, 1000 + seed)
        records = ppo.ppo(
            agent, _with_dropout(start.model), reward_fn or judge.model.score,
            prompt_ids(assistant.requests("training")), config, torch.Generator().manual_seed(seed),
            ptx_batches=batches, utility_fn=utility_fn,
        )  # fmt: skip
        seen = []
        for record in progress(records, config.n_iterations, label=label):
            seen.append(dataclasses.astuple(record))
        names = [each.name for each in dataclasses.fields(ppo.Record)]
        return agent, dict(zip(names, map(list, zip(*seen))))

    return _stage("ppo", key, fresh, build)


def text_loss(policy: GPT) -> float:
    """Nats per token on held-out pre-training text: the alignment tax is how much this rises."""
    reading = corpus.evaluation_batches(library().held_out_corpus, library().tokenizer, BASE.n_ctx, 4096)
    return train.evaluate(policy, reading).nats_per_token


@dataclass(frozen=True)
class Report:
    """What a policy is like on the 256 test requests."""

    utility: float  # mean true utility
    utilities: np.ndarray  # of each answer
    animal: float  # share of answers about the animal that was asked for
    thing: float
    mood: float  # mean share of mood words that fit
    well_formed: float
    length: float  # tokens
    score: float  # mean score of the reward model, nan without one
    kl: float  # mean log pi - log pi_SFT, nats per answer, nan without a reference
    text: float  # nats per token on held-out pre-training text
    answers: list[str]


@torch.no_grad()
def report(
    policy: GPT, judge: RewardModel | None = None, reference: GPT | None = None, seed: int = 0, titled: bool = False
) -> Report:
    """Ask a policy every test request once, and look at the answers from all sides.

    titled: put the request as a title, "The fox and the bell: sad.", which a base model knows how to continue: the
    "prompted" GPT-3 of the paper's figure 1.
    """
    policy.eval()
    requests = assistant.requests("test")
    prompts = prompt_ids(requests)
    answers = ask(policy, requests, seed, prompts=title_ids(requests) if titled else prompts)
    seen = utilities(requests, answers)
    kl = float("nan")
    if reference is not None:
        reference.eval()
        kl = float(
            (ppo.answer_logps(policy, prompts, answers) - ppo.answer_logps(reference, prompts, answers)).sum(1).mean()
        )
    totals = np.array([u.total for u in seen])
    return Report(
        float(totals.mean()), totals, *(float(np.mean([getattr(u, name) for u in seen])) for name in
        ("animal", "thing", "mood", "well_formed")), float(reward.answer_lengths(answers).double().mean()),
        float("nan") if judge is None else float(judge.score(prompts, answers).mean()), kl, text_loss(policy),
        answer_texts(answers),
    )  # fmt: skip


def win_rate(ours: np.ndarray, theirs: np.ndarray) -> truth.Estimate:
    """How often a labeler prefers our answer to theirs, request by request, with a 95 % interval over the requests.

        mean of sigma((u - u') / noise)

    Errors: lists of different lengths are a ValueError.
    """
    if len(ours) != len(theirs) or len(ours) < 2:
        raise ValueError(f"expected two answers to each of the same requests; got {len(ours)} and {len(theirs)}")
    wins = (1 + np.tanh((np.asarray(ours) - np.asarray(theirs)) / (2 * NOISE))) / 2
    return truth.Estimate(float(wins.mean()), float(1.96 * wins.std(ddof=1) / np.sqrt(len(wins))))


# --- shared ----------------------------------------------------------------------------------------------------------------


def _with_dropout(gpt: GPT, dropout: float = 0.0) -> GPT:
    """A copy of a model, with another dropout."""
    other = GPT(replace(gpt.config, dropout=dropout), torch.Generator())
    other.load_state_dict(gpt.state_dict())
    return other


def _code(*sources, **settings) -> list:
    rooms = (
        grammar,
        lexicon,
        assistant,
        model,
        loss,
        sample,
        train,
        reward,
        Shuffled,
        _Mixed,
        _with_dropout,
        ask,
        utilities,
        supervised,
    )
    return [code_fingerprint(*rooms, *sources), settings]


def _stage(name: str, key: dict, fresh, build) -> Trained:
    """One step: read from the cache, or made now and put there."""
    made = []

    def store():
        trained, curves = build()
        made.append(True)
        tensors = {f"weights/{each}": t for each, t in trained.state_dict().items()}
        return tensors | {f"curve/{each}": torch.tensor(values) for each, values in curves.items()}, {}

    stored = cached(name, key, store).tensors
    if not made:  # an empty bar, so that a notebook looks the same whether the model was trained or loaded
        list(progress((), 1, label=name))
    trained = fresh()
    trained.load_state_dict({each[8:]: t for each, t in stored.items() if each.startswith("weights/")})
    trained.eval()
    return Trained(trained, key, {each[6:]: t.numpy() for each, t in stored.items() if each.startswith("curve/")})
