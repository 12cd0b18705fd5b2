"""Chapter 04, sections 4 and 7. Reward models: when they learn that an answer belongs to its request, what they allow.

The models are those of `tales_over_seeds`. Things "400 prompts" to "3200 prompts": what one thing in a plain tale that
does what was asked is worth to the reward model, on average over requests. Things "best, beta ...": the mean score of
the best possible policy at this beta, and what `tales_over_seeds` reports of PPO is to be laid beside it. The best
policy is the SFT model with its answers weighted by e^(r / beta); "effective" is how many of the 2,048 answers to each
request these weights are worth. Four minutes a seed on one core.
"""

from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import numpy as np

from minigpt.exact import optimal_policy
from minigpt.experiments import measured
from minigpt.experiments.instructgpt import dialogue, human_ranking, step1_sft, step2_reward_model
from minigpt.experiments.instructgpt.shortened import few_rankings, few_stages, shortened, told
from minigpt.reward_model import RewardModel
from minigpt.worlds import tales
from minigpt.worlds.tales import Request

SEEDS = [0, 1, 2, 3, 4]
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


PARTS = ("animal", "thing", "mood")  # of a request


def plain_tale(request: Request) -> str:
    """A tale that has exactly what was asked for, and no details."""
    trait, deed, reaction = (table[request.mood][0] for table in (tales.TRAITS, tales.DEEDS, tales.REACTIONS))
    return (
        f" Once a {trait} {request.animal} went to the river. It {deed} a red {request.thing}. At last it {reaction}."
    )


def other(request: Request, part: str) -> Request:
    """The same request with another animal, thing or mood: the next one in its list."""
    lists = {"animal": [hero.name for hero in tales.HEROES], "thing": list(tales.THINGS), "mood": list(tales.MOODS)}
    options = lists[part]
    return replace(request, **{part: options[(options.index(getattr(request, part)) + 1) % len(options)]})


def gains(scorer: RewardModel, n: int = 48) -> dict[str, float]:
    """What one thing in a plain tale is worth to a reward model, on average over n requests.

    "animal as asked": how much higher it scores a tale of the animal that was asked for than the same tale of another;
    a reward model that never looks at the request cannot tell these apart. "a visitor": how much the score of the tale
    rises with one more sentence, in which somebody comes by.
    """
    wishes = [request for request in tales.requests("test") if request.animal != "cow"][:n]  # the visitor is a cow
    prompts, found = dialogue.prompt_ids(wishes), {}

    def mean(texts) -> float:
        return float(scorer.score(prompts, dialogue.answer_ids(list(texts))).double().mean())

    right = mean(map(plain_tale, wishes))
    for name, change in human_ranking.CHANGES.items():
        part = name.removesuffix(" as asked")
        if part in PARTS:
            found[name] = right - mean(plain_tale(other(request, part)) for request in wishes)
        else:
            found[name] = mean(change(request, plain_tale(request)) for request in wishes) - right
    return found


def worth_by_seed(n_prompts: int) -> np.ndarray:
    """Stored: what each part of a request is worth after so many prompts. Shapes: (3, seeds), in the order of PARTS."""
    thing = f"{n_prompts} prompts"
    return np.array([measured.get("instructgpt/reward_models", thing=thing, quantity=f"{p} as asked") for p in PARTS])


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
