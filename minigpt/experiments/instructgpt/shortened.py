"""Shortened stages of chapter 04's RLHF pipeline, shared by the canaries of the tables that are measured with them."""

import contextlib
import dataclasses
import functools
import itertools
import math
import os
import random
import tempfile
from unittest import mock

import torch

from minigpt import corpus, devices, ppo, train
from minigpt.experiments import dataset
from minigpt.experiments.canaries import FewRows, batch_number, number_of_batches, short_writing
from minigpt.experiments.instructgpt import dialogue, step1_sft, step2_reward_model, three_steps
from minigpt.worlds import grammar, tales, web_tales

N_HELD_OUT, N_REQUESTS, N_ROWS = 12, 16, 8  # documents; requests that are answered; rows of a batch that are used
N_ANSWERS, N_TOKENS = 8, 24  # of an iteration of PPO; of an answer there, at most


@functools.cache
def few_tales() -> dataset.Dataset:
    """The data set of chapter 04 with few documents; as many as its vocabulary needs."""
    with short_writing(600, N_HELD_OUT):
        return _few(dialogue.tale_dataset.__wrapped__(600))


_WEB_DATASET = three_steps.web_dataset  # `shortened` puts few_pages in its place


@functools.cache
def few_pages() -> dataset.Dataset:
    """The web text of `three_steps` with few documents; as many as its vocabulary needs."""
    with short_writing(1500, N_HELD_OUT):
        return _few(_WEB_DATASET.__wrapped__(1500))


def _few(data: dataset.Dataset) -> dataset.Dataset:
    return dataclasses.replace(data, corpus=corpus.encode(data.documents[:64], data.tokenizer))


def told_on_the_web(policy, requests, seed: int = 0, prompted: bool = False):
    """In place of `three_steps.sample_answers`: somebody on the web answers, whatever the model."""
    rng, found = random.Random(f"told {seed} {prompted}"), []
    for each in requests:
        found.append(
            grammar.sample(lambda d: web_tales.tale(d, web_tales.WEB, each.mood, each.animal, each.thing), rng)[0]
        )
    return three_steps.answer_ids(found)


def told(policy, requests, seed: int = 0, prompts=None):
    """In place of `dialogue.sample_answers`: labelers answer, and write about another request one time in two."""
    rng = random.Random(f"told {seed}")
    about = [rng.choice((request, rng.choice(requests))) for request in requests]
    return dialogue.answer_ids([grammar.sample(tales.demonstration(each), rng)[0] for each in about])


@contextlib.contextmanager
def shortened(n_steps: int = 3, n_iterations: int = 2):
    """Inside, every stage of chapter 04 takes a moment: few tales and requests, the first steps of each training, an
    empty cache of its own. Yields a dictionary that fills with what each training does: first losses, sum of rates.

    In double precision: Adam's first steps make much of the rounding of small gradients, and answers are drawn.
    """
    found, names = {}, itertools.count(1)
    data, all_requests, train_all, ppo_all = few_tales(), tales.requests, train.train, ppo.ppo
    demonstrations, careful = step1_sft.demonstrations, three_steps.demonstrations

    def few_demonstrations(n, *args):  # as many as are learned from, but few of those that are only looked at
        return demonstrations(n if n == step1_sft.N_DEMONSTRATIONS else N_REQUESTS, *args)

    def few_careful(n, *args):
        return careful(n if n == three_steps.N_DEMONSTRATIONS else N_REQUESTS, *args)

    def few_steps(model, batches, config, *args, **more):
        name = f"training {next(names)}"
        rates = [train.learning_rate(step, config) for step in range(config.n_steps)]
        found[f"{name}: sum of rates"] = sum(rates)
        found[f"{name}: batches"] = number_of_batches(batches, config.n_steps)
        n = config.n_steps if config.n_steps <= 2 * n_steps else n_steps
        for record in itertools.islice(train_all(model, FewRows(batches, N_ROWS), config, *args, **more), n):
            found[f"{name}: loss {record.step}"] = record.loss
            yield record

    def few_iterations(agent, reference, reward_fn, prompts, config, generator, state, texts=None, *args, **more):
        name = f"training {next(names)}"
        rates = [config.lr * ppo.learning_rate_factor(i, config) for i in range(config.n_iterations)]
        found[f"{name}: sum of rates"] = sum(rates)
        if texts is not None:
            found[f"{name}: text"] = batch_number(texts[0])
            texts = FewRows(texts, 2)
        numbers = [float(x) for x in dataclasses.astuple(config) if isinstance(x, (int, float))]
        found[f"{name}: settings"] = sum(place * x for place, x in enumerate(numbers, 1))
        few = dataclasses.replace(  # values are clipped before they have moved far
            config, batch_size=N_ANSWERS, longest=N_TOKENS, n_epochs=3, value_clip=config.value_clip / 20
        )
        records = ppo_all(agent, reference, reward_fn, prompts, few, generator, state, texts, *args, **more)
        for record in itertools.islice(records, n_iterations):
            for key in ("reward", "utility", "kl", "policy_loss", "value_loss"):
                if not math.isnan(getattr(record, key)):
                    found[f"{name}: {key} {record.step}"] = getattr(record, key)
            yield record

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float64)
        stack.enter_context(mock.patch.dict(os.environ, MINIGPT_CACHE=folder))
        for module, name, by in (
            (dialogue, "tale_dataset", lambda: data),
            (step1_sft, "demonstrations", few_demonstrations),
            (three_steps, "web_dataset", few_pages),
            (three_steps, "demonstrations", few_careful),
            (dialogue, "by_ids", functools.cache(dialogue.by_ids.__wrapped__)),
            (tales, "requests", lambda which: all_requests(which)[:N_REQUESTS]),
            (train, "train", few_steps),
            (ppo, "ppo", few_iterations),
        ):
            stack.enter_context(mock.patch.object(module, name, by))
        yield found


def few_rankings(
    start: step1_sft.Trained, n: int = 8, seed: int = 0, which: str = "training"
) -> step2_reward_model.Rankings:
    """Rankings of answers that are worth ranking: a model that has hardly learned gives none."""
    with mock.patch.object(dialogue, "sample_answers", told):
        return step2_reward_model.rankings(start, n, seed, which)


def few_stages() -> tuple[dict[str, float], step1_sft.Trained, step1_sft.Trained, step1_sft.Trained]:
    """What the first trainings do, and the base model, the SFT model and the reward model that come out of them."""
    return _few_stages(devices.device())


@functools.cache
def _few_stages(device: torch.device):  # models stay where they were trained: one set for each device
    with shortened() as found:
        base = step1_sft.base(0)
        sft = step1_sft.sft(base, 0)
        found |= {f"sft: {name}": values[0] for name, values in sft.curves.items()}
        data = few_rankings(sft)
        found |= {"utilities": float(data.utilities.sum()), "ranks": float(data.ranks.sum())}
        scorer = step2_reward_model.reward_model(sft, data, 0)
        found["reward model: shift"] = float(scorer.model.shift)
        return dict(found), base, sft, scorer
