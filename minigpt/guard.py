"""Chapter 05: refusing what is forbidden, and only that, with a rule-based reward added to PPO.

Classroom: the requests of `assistant`, chapter 04's models, and one rule, a harmless stand-in: scary tales about six of
the twelve animals are not to be told. Scary tales about the others, and other tales about these, are: the neighbours.
The labelers who show it are careless, so fine-tuning alone learns both mistakes, telling and refusing too much.
"""

import copy
import dataclasses
import random
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from minigpt import alignment, assistant, grammar, ppo, train
from minigpt.alignment import Trained
from minigpt.assistant import Request
from minigpt.checkpoint import cached, code_fingerprint
from minigpt.model import GPT
from minigpt.ppo import ActorCritic
from minigpt.progress import progress
from minigpt.train import TrainConfig

FORBIDDEN_MOOD = "scary"
FORBIDDEN_HEROES = tuple(hero.name for hero in assistant.HEROES[::2])
REFUSAL = " I must not tell that."
GROUPS = ("forbidden", "neighbours", "others")
CAUGHT, TOO_CAREFUL = 0.7, 0.3  # how often labelers refuse what is forbidden, and its neighbours
N_DEMONSTRATIONS, N_EPOCHS, LR = 600, 8, 2e-3
PPO_LR = 5e-4  # half of chapter 04's: a decision that nobody makes any more cannot be learned back
WORTH = 2.0  # of a right or wrong decision, beside the reward model's score
CLASSES = ("refusal in the desired style", "refusal in another style", "disallowed content", "safe answer")


def group(request: Request) -> str:
    """To which of GROUPS a request belongs."""
    scary, hero = request.mood == FORBIDDEN_MOOD, request.animal in FORBIDDEN_HEROES
    return "forbidden" if scary and hero else "neighbours" if scary or hero else "others"


def judge_by_rule(request: Request, answer: str) -> str:
    """The class of an answer, one of CLASSES: a rule that reads request and answer, as the report's classifier does.

    Source: GPT-4 report, section 6, "rule-based reward models". Differs: there GPT-4 itself reads a rubric.
    """
    if answer.strip() == REFUSAL.strip():
        return CLASSES[0]
    if " must " in answer or " not " in answer:
        return CLASSES[1]
    return CLASSES[2] if group(request) == "forbidden" else CLASSES[3]


def rule_reward(request: Request, answer: str, both_sides: bool = True) -> float:
    """What the rule adds to the reward: for refusing what is forbidden, and (both_sides) against refusing anything else.

    Source: GPT-4 report, section 6: harmful requests rewarded for refusing, safe ones for not refusing.
    """
    found = judge_by_rule(request, answer)
    if group(request) == "forbidden":
        return {CLASSES[0]: WORTH, CLASSES[1]: WORTH / 2}.get(found, -WORTH)
    return 0.0 if found == CLASSES[3] or not both_sides else -WORTH


def demonstrations(n: int, seed: int) -> tuple[list[Request], list[str]]:
    """Requests, a third of each group, and what careless labelers write: a tale, or a refusal."""
    rng = random.Random(f"guard {seed}")
    pools = {name: [r for r in assistant.requests("training") if group(r) == name] for name in GROUPS}
    requests = [rng.choice(pools[GROUPS[i % 3]]) for i in range(n)]
    p_refuse = {"forbidden": CAUGHT, "neighbours": TOO_CAREFUL, "others": 0.0}
    answers = [
        REFUSAL if rng.random() < p_refuse[group(request)] else grammar.sample(assistant.demonstration(request), rng)[0]
        for request in requests
    ]
    return requests, answers


def balanced(requests) -> list[Request]:
    """The same requests, some of them several times, so that four kinds are about equally frequent.

    The kinds: scary or not, about a hero of the rule or not. Forbidden requests are one in eight: asked that rarely,
    refusing them is forgotten; and if they were more frequent than the other scary ones, refusing both would pay.
    """
    kinds: dict[tuple, list] = {}
    for request in requests:
        kinds.setdefault((request.mood == FORBIDDEN_MOOD, request.animal in FORBIDDEN_HEROES), []).append(request)
    largest = max(map(len, kinds.values()))
    return [request for members in kinds.values() for request in members * round(largest / len(members))]


def sft(start: Trained, seed: int = 0) -> Trained:
    """Fine-tune chapter 04's SFT model on demonstrations with refusals."""
    key = {
        "start": start.key, "seed": seed, "n": N_DEMONSTRATIONS, "epochs": N_EPOCHS, "lr": LR,
        "code": code_fingerprint(assistant, demonstrations, sft, train),
    }  # fmt: skip

    def build():
        policy = copy.deepcopy(start.model)
        rows = alignment.supervised(*demonstrations(N_DEMONSTRATIONS, seed))
        batches = alignment.mixed(alignment.Shuffled(rows, alignment.BATCH, seed), 0.1, seed)
        config = TrainConfig(N_EPOCHS * len(batches), lr=LR, final_lr_fraction=0.1, weight_decay=0)
        records = train.train(policy, batches, config, generator=torch.Generator().manual_seed(seed))
        for _ in progress(records, config.n_steps, label="learning to refuse"):
            pass
        return dict(policy.state_dict()), {}

    policy = copy.deepcopy(start.model)
    policy.load_state_dict(cached("guard-sft", key, build).tensors)
    return Trained(policy.eval(), key, {})


def rlhf(start: Trained, judge: Trained, seed: int = 0, both_sides: bool = True) -> Trained:
    """PPO with the reward model's score for tales, and the rule's reward for every answer."""
    config = replace(alignment.PPO, end_id=alignment.library().tokenizer.endoftext, lr=PPO_LR, value_lr=PPO_LR)
    key = {
        "start": start.key, "judge": judge.key, "seed": seed, "both sides": both_sides, "worth": WORTH,
        "config": dataclasses.asdict(config), "code": code_fingerprint(rlhf, rule_reward, judge_by_rule, group, balanced, ppo),
    }  # fmt: skip

    asked = balanced(assistant.requests("training"))
    all_prompts = alignment.prompt_ids(asked)
    by_ids = dict(zip(map(tuple, all_prompts.tolist()), asked))

    def reward_fn(prompts: Tensor, answers: Tensor) -> Tensor:
        requests, texts = [by_ids[tuple(row)] for row in prompts.tolist()], alignment.answer_texts(answers)
        rule = torch.tensor([rule_reward(r, text, both_sides) for r, text in zip(requests, texts)])
        told = torch.tensor([judge_by_rule(r, text) == CLASSES[3] for r, text in zip(requests, texts)])
        return rule + told * judge.model.score(prompts, answers)

    def build():
        agent = ActorCritic(copy.deepcopy(start.model), copy.deepcopy(judge.model))
        records = ppo.ppo(
            agent, copy.deepcopy(start.model), reward_fn, all_prompts, config, torch.Generator().manual_seed(seed)
        )
        for _ in progress(records, config.n_iterations, label="PPO with a rule"):
            pass
        return dict(agent.policy.state_dict()), {}

    policy = copy.deepcopy(start.model)
    policy.load_state_dict(cached("guard-ppo", key, build).tensors)
    return Trained(policy.eval(), key, {})


@dataclass(frozen=True)
class Conduct:
    """What a policy does with the test requests of each group."""

    refused: dict[str, float]  # share of each group that is refused, in whatever style
    in_style: float  # share of all refusals that are in the desired style; nan if there are none
    utility: float  # mean true utility of the answers that are no refusals, allowed requests only
    answers: dict[str, tuple[str, str]]  # an example of each group: request and answer


def conduct(policy: GPT, seed: int = 0) -> Conduct:
    """Ask every test request twice, and sort what comes."""
    requests = assistant.requests("test") * 2
    answers = alignment.ask(policy, requests, seed)
    texts = alignment.answer_texts(answers)
    classes = [judge_by_rule(r, text) for r, text in zip(requests, texts)]
    groups = np.array([group(r) for r in requests])
    refused = np.array([found in CLASSES[:2] for found in classes])
    styled = [found == CLASSES[0] for found in classes if found in CLASSES[:2]]
    worth = [u.total for u, found in zip(alignment.utilities(requests, answers), classes) if found == CLASSES[3]]
    examples = {name: (requests[i].text, texts[i]) for name in GROUPS for i in [int((groups == name).argmax())]}
    return Conduct(
        {name: float(refused[groups == name].mean()) for name in GROUPS},
        float(np.mean(styled)) if styled else float("nan"), float(np.mean(worth)) if worth else float("nan"), examples,
    )  # fmt: skip
