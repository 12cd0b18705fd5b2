"""Chapter 04, sections 4 and 7. Reward models: when they learn that an answer belongs to its request, what they allow.

The models are those of `tales_over_seeds`. Things "400 prompts" to "3200 prompts": how much the score of a plain tale
rises, on average over requests, when one thing in it is changed. Things "best, beta ...": the mean score of the best
possible policy at this beta, and what `tales_over_seeds` reports of PPO is to be laid beside it. The best policy is the
SFT model with its answers weighted by e^(r / beta); "effective" is how many of the 2,048 answers to each request these
weights are worth. Four minutes a seed on one core.
"""

from collections.abc import Iterator
from unittest import mock

import numpy as np

from minigpt.exact import optimal_policy
from minigpt.experiments.instructgpt import dialogue, human_ranking, step1_sft, step2_reward_model
from minigpt.experiments.instructgpt.shortened import few_rankings, few_stages, shortened, told
from minigpt.reward_model import RewardModel
from minigpt.worlds import tales

SEEDS = [0]
KEY = ("seed", "thing", "quantity")
N_PROMPTS = (400, 800, 3200)
BETAS = (0.4, 2.0)
N_REQUESTS, N_ANSWERS = 32, 2048


def rows(seed: int) -> Iterator[dict]:
    """Measure one seed: rows of the table."""
    sft = step1_sft.sft(step1_sft.base(seed), seed)
    data = step2_reward_model.rankings(sft, max(N_PROMPTS), seed)
    for n in N_PROMPTS:
        scorer = step2_reward_model.reward_model(sft, data.rows(slice(n)), seed).model
        for name, rise in gains(scorer).items():
            yield dict(zip(KEY, (seed, f"{n} prompts", name)), value=f"{rise:.4f}")
    for thing, found in best_there_is(sft.model, scorer).items():
        for name, value in found.items():
            yield dict(zip(KEY, (seed, thing, name)), value=f"{value:.4f}")


def gains(scorer: RewardModel, n: int = 48) -> dict[str, float]:
    """How much the score of a plain tale rises when one thing is changed, on average over n requests.

    "animal as asked": the tale's pig becomes the animal that was asked for. "animal not asked": it becomes another
    animal, one that the next request asks for; a reward model that never looks at the request cannot tell these apart.
    """
    wishes = [
        r for r in tales.requests("test") if r.animal not in ("pig", "cow") and r.thing != "drum" and r.mood != "merry"
    ][:n]
    others = [next(w for w in [*wishes[i:], *wishes] if w.animal != r.animal) for i, r in enumerate(wishes)]
    plain, found = human_ranking.PLAIN, {}
    prompts = dialogue.prompt_ids(wishes)
    before = scorer.score(prompts, dialogue.answer_ids([plain] * len(wishes))).double()

    def rise(texts) -> float:
        return float((scorer.score(prompts, dialogue.answer_ids(texts)).double() - before).mean())

    for name, change in human_ranking.CHANGES.items():
        found[name] = rise([change(request, plain) for request in wishes])
    change = human_ranking.CHANGES["animal as asked"]
    found["animal not asked"] = rise([change(other, plain) for other in others])
    return found


def best_there_is(policy, scorer: RewardModel, n_requests: int = N_REQUESTS, n_answers: int = N_ANSWERS) -> dict:
    """The best possible policy's mean score at each beta, from many answers of the SFT model to each request."""
    found = {f"best, beta {beta}": {"best score": [], "effective": []} for beta in BETAS}
    means = []
    for i, request in enumerate(tales.requests("test")[:n_requests]):
        asked = [request] * n_answers
        answers = dialogue.sample_answers(policy, asked, seed=i)
        scores = scorer.score(dialogue.prompt_ids(asked), answers).double().cpu().numpy()
        means.append(scores.mean())
        for beta in BETAS:
            mean, effective = optimal_policy.tilted_mean(scores, scores, beta)
            found[f"best, beta {beta}"]["best score"].append(mean)
            found[f"best, beta {beta}"]["effective"].append(effective)
    averages = {thing: {name: np.mean(values) for name, values in parts.items()} for thing, parts in found.items()}
    return averages | {"sft": {"score": np.mean(means)}}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    first, _, sft, scorer = few_stages()
    with shortened() as found:
        data = few_rankings(sft, 8)
        fewer = step2_reward_model.reward_model(sft, data.rows(slice(4)), 0)
        found |= {f"few prompts: {name}": rise for name, rise in gains(fewer.model, 6).items()}
        found |= {f"prompts: {name}": rise for name, rise in gains(scorer.model, 6).items()}
        with mock.patch.object(dialogue, "sample_answers", told):
            for thing, parts in best_there_is(sft.model, scorer.model, 2, 8).items():
                found |= {f"{thing}: {name}": value for name, value in parts.items()}
        return {f"first {name}": value for name, value in first.items()} | found
