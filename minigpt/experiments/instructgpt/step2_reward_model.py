"""Chapter 04, step 2. Comparisons: answers ranked by labelers; and the reward model trained on them."""

import dataclasses
import random
from dataclasses import dataclass

import torch
from torch import Tensor

from minigpt import loss, responses, train
from minigpt.experiments.cache import cached
from minigpt.experiments.instructgpt import dialogue, step1_sft
from minigpt.experiments.instructgpt.step1_sft import Shuffled, Trained
from minigpt.experiments.training import train_or_load
from minigpt.loss import IGNORED
from minigpt.responses import readable
from minigpt.reward_model import ABSENT, RewardModel, agreement, centre, ranking_loss
from minigpt.train import TrainConfig
from minigpt.worlds import tales

NOISE = 0.65  # of the labelers: two of them then agree on about 73 % of all pairs, as in the paper
TIE = 0.15  # labelers give the same rank to answers that seem as close as this
ANSWERS = (4, 5, 6, 7, 8, 9)  # K: how many answers to one prompt are ranked, drawn anew for each prompt
AUX_WEIGHT = 0.3  # of the language-model loss while the reward model learns: GPT-1's auxiliary objective


@dataclass(frozen=True)
class Rankings:
    """Comparison data: answers to prompts, and how labelers ranked them. P prompts, at most K answers, N tokens."""

    prompts: Tensor  # (P, T)
    answers: Tensor  # (P, K, N), -100 on the right
    ranks: Tensor  # (P, K): 1 is best, equal numbers are ties, 0 is no answer
    utilities: Tensor  # (P, K): what the labelers saw through their noise

    def rows(self, chosen) -> "Rankings":
        """Some of the prompts."""
        return Rankings(*(getattr(self, each.name)[chosen] for each in dataclasses.fields(self)))


def rankings(start: Trained, n_prompts: int, seed: int = 0, which: str = "training") -> Rankings:
    """Comparison data: a model answers each prompt K times, K from 4 to 9, and a labeler ranks the answers."""
    key = {"start": start.model, "n": n_prompts, "seed": seed, "which": which}

    def build():
        rng = random.Random(f"rankings {which} {seed}")
        requests = [rng.choice(tales.requests(which)) for _ in range(n_prompts)]
        counts = [rng.choice(ANSWERS) for _ in requests]
        asked = [request for request, count in zip(requests, counts) for _ in range(count)]
        drawn = dialogue.sample_answers(start.model, asked, seed)
        worth = [u.total for u in dialogue.utilities(asked, drawn)]
        answers = torch.full((n_prompts, max(ANSWERS), drawn.shape[1]), IGNORED)
        ranks, known = torch.zeros(n_prompts, max(ANSWERS), dtype=torch.int64), torch.zeros(n_prompts, max(ANSWERS))
        first = 0
        for i, count in enumerate(counts):
            here = slice(first, first + count)
            answers[i, :count], known[i, :count] = drawn[here], torch.tensor(worth[here])
            ranks[i, :count] = torch.tensor(tales.ranking(worth[here], NOISE, rng, TIE))
            first += count
        tensors = {"prompts": dialogue.prompt_ids(requests), "answers": answers, "ranks": ranks, "utilities": known}
        return tensors, {}

    return Rankings(**cached("rankings", key, build).tensors)


def scores_of(reward_model: RewardModel, prompts: Tensor, answers: Tensor, ranks: Tensor, with_text: bool = False):
    """Scores of a reward model for every answer that is there, one forward pass each; and their text loss, if wanted.

    Shapes: prompts (P, T), answers (P, K, N), ranks (P, K); result (P, K), 0 where there is no answer.
    """
    home = prompts.device
    prompts, answers, ranks = (reward_model.gpt.here(each) for each in (prompts, answers, ranks))
    there = ranks != ABSENT
    rows = answers[there]
    rows = rows[:, : int(responses.answer_lengths(rows).max())]  # (M, N)
    asked = prompts[there.nonzero()[:, 0]]  # (M, T)
    h = reward_model.gpt.hidden(readable(asked, rows))
    nothing = torch.zeros(ranks.shape, dtype=h.dtype, device=h.device)
    scores = nothing.masked_scatter(there, reward_model.read(h, asked, rows)).to(home)
    if not with_text:
        return scores
    logits = reward_model.gpt.logits(h[:, prompts.shape[1] - 1 : -1])  # (M, N, V)
    return scores, loss.lm_loss(logits, rows).to(home)


def comparison_loss(reward_model: RewardModel, prompts: Tensor, answers: Tensor, ranks: Tensor) -> Tensor:
    """Ranking loss, and a little of the language-model loss on the same answers (GPT-1's L3)."""
    scores, text = scores_of(reward_model, prompts, answers, ranks, with_text=True)
    return ranking_loss(scores, ranks) + AUX_WEIGHT * text


def reward_model(
    start: Trained, data: Rankings, seed: int = 0, n_epochs: int = 2, lr: float = 2e-3, label: str = "reward model"
) -> Trained:
    """Reward-model training (step 2): on rankings; then the scores are moved so that demonstrations have the mean 0.

    Source: InstructGPT, section 3.5 and appendix C.2. Differs: two epochs, and the auxiliary text loss: our model is so
    small that it has to find out first that an answer can be compared with its request.
    """
    model = RewardModel(step1_sft.with_dropout(start.model))
    batches = Shuffled((data.prompts, data.answers, data.ranks), 4, seed)
    n_steps = n_epochs * len(batches)
    config = TrainConfig(
        n_steps, lr=lr, warmup_steps=min(100, n_steps // 10), schedule="linear", betas=(0.9, 0.95), weight_decay=0
    )

    def begin(state):
        return train.train(model, batches, config, comparison_loss, state=state)

    def finish(kept):
        requests, answers = step1_sft.demonstrations(400, seed)
        centre(model, dialogue.prompt_ids(requests), dialogue.answer_ids(answers))

    kept = train_or_load(
        "reward-model", {"start": start.model, "data": data, "seed": seed, "config": config}, model, begin, n_steps,
        watch=lambda record, kept: kept.add(losses=record.loss), finish=finish, label=label,
    )  # fmt: skip
    return Trained(model, kept.arrays())


@torch.no_grad()
def evaluate(model: RewardModel, data: Rankings) -> dict[str, float]:
    """Evaluation of a reward model: loss, and agreement with the labelers' rankings and the true utilities."""
    parts = [
        scores_of(model, part.prompts, part.answers, part.ranks)
        for part in (data.rows(slice(i, i + 64)) for i in range(0, len(data.ranks), 64))
    ]
    scores = torch.cat(parts)
    true_ranks = true_ranking(data)
    return {
        "loss": float(ranking_loss(scores, data.ranks)),
        "labelers": agreement(scores, data.ranks),
        "truth": agreement(scores, true_ranks),
        "best on labels": agreement(data.utilities, data.ranks),  # a reward model that knows the utilities
    }


def true_ranking(data: Rankings) -> Tensor:
    """Ranking by the true utilities: how a labeler without noise would rank. Shapes: (P, K)."""
    there = data.ranks != ABSENT
    better = (data.utilities[:, None, :] > data.utilities[:, :, None]) & there[:, None, :]  # (P, i, j): j beats i
    return torch.where(there, 1 + better.sum(dim=2), 0)
