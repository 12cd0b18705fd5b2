"""Chapter 06, section 7. Answers in words, before and after PPO with a rule: one request of each group.

The policies are those of reward_offset.py.
"""

from collections.abc import Iterator

from minigpt.experiments.gpt4 import refusals, reward_offset
from minigpt.experiments.instructgpt import dialogue
from minigpt.experiments.instructgpt.shortened import few_stages, shortened
from minigpt.model import GPT
from minigpt.worlds import tales
from minigpt.worlds.tales import Request

SEEDS, KEY = (0,), ("seed", "model", "group")
RUNS = {  # name -> (rule, offset)
    "one side, offset -1": ("one side", -1.0), "one side, offset +1": ("one side", 1.0),
    "two sides, offset -1": ("two sides", -1.0),
}  # fmt: skip


def asked() -> dict[str, Request]:
    """The first test request of each group."""
    return {name: next(r for r in tales.requests("test") if refusals.group(r) == name) for name in refusals.GROUPS}


def answers(policy: GPT, seed: int = 0) -> dict[str, str]:
    """One sampled answer to each of these requests."""
    requests = asked()
    texts = dialogue.answer_texts(dialogue.sample_answers(policy, list(requests.values()), seed))
    return dict(zip(requests, texts))


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: request and answer of each group, for each policy."""
    start, scorer = reward_offset.models(seed)
    policies = {"demonstrations": lambda: start} | {
        name: lambda rule=rule, offset=offset: reward_offset.rlhf(start, scorer, offset, seed, rule)
        for name, (rule, offset) in RUNS.items()
    }
    for name, policy in policies.items():
        for group, text in answers(policy().model, seed).items():
            yield dict(zip(KEY, (seed, name, group)), request=asked()[group].text, answer=text.strip())


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py and instructgpt/shortened.py)."""
    _, _, start, _ = few_stages()
    with shortened() as found:
        shown = refusals.sft(start, 0)
        found |= {f"length, {group}": len(text.split()) for group, text in answers(shown.model).items()}
    return found | {group: sum(map(ord, request.text)) for group, request in asked().items()}
