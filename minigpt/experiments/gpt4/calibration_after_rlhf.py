"""Chapter 06, section 5. Calibration before and after RLHF: four choices whose exact probabilities are known.

After the GPT-4 report, figure 8. The models are those of chapter 04. A tale stops before its last word, which tells the
hero's mood: "At last it ...". One word of each mood is offered; the right one is the one that the tale really had. The
grammar knows how likely each of the four is, so it knows how sure one may be.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minigpt import calibration, sample
from minigpt.exact import entropy
from minigpt.experiments.instructgpt import dialogue, step1_sft, step2_reward_model, step3_ppo
from minigpt.experiments.instructgpt.shortened import few_stages, few_tales, shortened
from minigpt.model import GPT
from minigpt.tokenizer import Tokenizer
from minigpt.worlds import grammar, tales

SEEDS, KEY = tuple(range(5)), ("seed", "model", "form", "quantity")
N = 1500  # questions of each form
FORMS = ("tale", "request")  # a tale as in the base model's texts; an answer to a request, as after SFT
LAST = " At last it"


@dataclass(frozen=True)
class Question:
    """Multiple-choice question: a text without its last word, and four words to choose from, one of each mood."""

    text: str
    choices: tuple[str, ...]  # in the order of tales.MOODS
    right: int  # which one really came
    truth: np.ndarray  # (4,) probability of each, of these four, by the grammar


def questions(form: str, n: int, seed: int = 0) -> list[Question]:
    """n questions of one form, always the same for a seed. Errors: another form is a ValueError."""
    if form not in FORMS:
        raise ValueError(f"expected a form among {FORMS}; got {form!r}")
    rng = random.Random(f"certainty {form} {seed}")
    return [_question(form, rng) for _ in range(n)]


def _question(form: str, rng: random.Random) -> Question:
    request = rng.choice(tales.requests("test"))
    program = _tale if form == "tale" else tales.demonstration(request)
    told = grammar.sample(program, rng)[0]
    before, word = told.rsplit(LAST + " ", 1)
    mood = tales.MOODS.index(tales.MOOD_OF[word.rstrip(".")])
    choices = [rng.choice(tales.REACTIONS[m]) for m in tales.MOODS]
    choices[mood] = word.rstrip(".")
    nats = entropy.document_nats([f"{before}{LAST} {choice}." for choice in choices], program)
    p = calibration.choice_probabilities(-nats[None])[0]
    return Question((request.text if form == "request" else "") + before + LAST, tuple(choices), mood, p)


def _tale(d):
    """A tale whose mood is not told."""
    tales.tale(d, d.hidden(tales.MOODS))


def choice_logps(model: GPT, tokenizer: Tokenizer, asked: list[Question]) -> np.ndarray:
    """The model's log-probability of each choice. Shapes: result (n, 4), float64."""
    rows = [
        sample.continuation_logps(model, tokenizer, question.text, [f" {word}" for word in question.choices])
        for question in asked
    ]
    return np.array([row.double().tolist() for row in rows])


def confidence(p: np.ndarray, asked: list[Question]) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and correctness: the largest probability, and whether its choice is right. Shapes: (n,) each."""
    picked = p.argmax(axis=1)
    return p.max(axis=1), (picked == np.array([question.right for question in asked])).astype(float)


def report(p: np.ndarray, asked: list[Question]) -> dict[str, float]:
    """Accuracy, mean confidence, expected calibration error, the best temperature, and the bins."""
    sure, right = confidence(p, asked)
    found = calibration.reliability(sure, right)
    temperature = calibration.best_temperature(np.log(p), np.array([question.right for question in asked]))
    numbers = {"accuracy": right.mean(), "confidence": sure.mean(), "error": found.error, "temperature": temperature}
    for number, (count, mean, share) in enumerate(zip(found.counts, found.confidence, found.accuracy)):
        if count:
            numbers |= {f"bin {number} count": count, f"bin {number} confidence": mean, f"bin {number} accuracy": share}
    return {name: float(value) for name, value in numbers.items()}


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed: the numbers of `report` for each model and form.

    The model "truth" is the grammar itself: its calibration error is what chance alone makes.
    """
    tokenizer = dialogue.tale_dataset().tokenizer
    base = step1_sft.base(seed)
    sft = step1_sft.sft(base, seed)
    scorer = step2_reward_model.reward_model(sft, step2_reward_model.rankings(sft, 3200, seed), seed)
    models = {"base": base.model, "sft": sft.model}
    settings = {"ppo": {"kl_coef": 0.05}, "ppo, beta 0.4": {"kl_coef": 0.4}, "ppo, beta 0": {"kl_coef": 0.0},
                "ppo-ptx": {"ptx_coef": 0.5}}  # fmt: skip
    for name, how in settings.items():
        models[name] = step3_ppo.rlhf(sft, scorer, seed, **how).model.policy
    for form in FORMS:
        asked = questions(form, N)
        given = {"truth": np.array([question.truth for question in asked])}
        for name, model in models.items():
            given[name] = calibration.choice_probabilities(choice_logps(model, tokenizer, asked))
        for name, p in given.items():
            for each, value in report(p, asked).items():
                yield dict(zip(KEY, (seed, name, form, each)), value=f"{value:.4f}")


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py and instructgpt/shortened.py)."""
    tokenizer = few_tales().tokenizer
    stages, base, sft, scorer = few_stages()
    with shortened() as found:
        policy = step3_ppo.rlhf(sft, scorer, 0, kl_coef=0.4, ptx_coef=0.5).model.policy
        models = {"base": base.model, "sft": sft.model, "ppo": policy}
        found |= {f"first {name}": value for name, value in stages.items()}
    for form in FORMS:
        asked = questions(form, 100)
        exact = np.array([question.truth for question in asked])
        for power in (1, 3):  # the grammar itself, and over-confidence
            p = calibration.choice_probabilities(power * np.log(exact))
            found |= {f"{form} {power}: {name}": value for name, value in report(p, asked).items()}
        for name, model in models.items():
            logps = choice_logps(model, tokenizer, asked[:12])
            sure, _ = confidence(calibration.choice_probabilities(logps), asked[:12])
            found |= {f"{form} {name}: nats": -logps.mean(), f"{form} {name}: confidence": sure.mean()}
    return found
