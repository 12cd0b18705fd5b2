"""How fast is this book's PPO beside the last PPO of TRL? Samples per second and peak memory, as ratios in one run.

Both train the same: GPT-2's form, 2 layers, 64 wide, 4 heads, 64 tokens; prompts of 8 tokens, answers of 16; 64
episodes an iteration, one pass in 8 minibatches; four networks (policy, reference, value function, reward model) of
one size; float32, one thread, random weights. Each runs in a process of its own, and they take turns, so that a busy
machine disturbs both alike. The first two iterations are not counted.

TRL had PPO up to 1.12.0; from 1.13.0 on it has none. It brings fifty packages, so it lives in an environment of its
own:

    python3 -m venv other && other/bin/pip install -e .[compare]
    python benchmarks/ppo_speed.py --other other/bin/python

Without --other only this book's PPO is measured.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
    os.environ[name] = "1"

from side_by_side import Row, ratio  # noqa: E402

V, PROMPT, ANSWER, BATCH, MINIBATCHES = 64, 8, 16, 64, 8
SKIPPED, COUNTED = 2, 12


def ours() -> list[float]:
    """Seconds of each counted iteration of this book's PPO."""
    import copy

    import torch

    from minigpt import ppo
    from minigpt.model import GPT, GPTConfig
    from minigpt.reward_model import RewardModel

    torch.set_num_threads(1)
    config = GPTConfig(n_vocab=V, n_ctx=PROMPT + ANSWER, n_layers=2, n_heads=4, d_model=64, norm="pre")
    policy = GPT(config, torch.Generator().manual_seed(0))
    scorer = RewardModel(GPT(config, torch.Generator().manual_seed(1)))
    agent = ppo.ActorCritic(copy.deepcopy(policy), RewardModel(copy.deepcopy(policy)))
    prompts = torch.randint(3, V, (1024, PROMPT), generator=torch.Generator().manual_seed(2))
    settings = ppo.PPOConfig(
        n_iterations=SKIPPED + COUNTED, end_id=1, longest=ANSWER, batch_size=BATCH, n_minibatches=MINIBATCHES, lr=3e-4
    )
    times, start = [], time.perf_counter()
    for _ in ppo.ppo(agent, policy, scorer.score, prompts, settings, torch.Generator().manual_seed(3)):
        times.append(time.perf_counter() - start)
        start = time.perf_counter()
    return times[SKIPPED:]


def theirs() -> list[float]:
    """Seconds of each counted iteration of TRL's PPOTrainer."""
    import torch
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        GPT2Config,
        GPT2ForSequenceClassification,
        GPT2LMHeadModel,
        PreTrainedTokenizerFast,
        TrainerCallback,
    )
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    torch.set_num_threads(1)
    words = {"[PAD]": 0, "[EOS]": 1, "[UNK]": 2} | {f"w{i}": i for i in range(3, V)}
    plain = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="[PAD]", eos_token="[EOS]", unk_token="[UNK]", padding_side="left"
    )
    config = GPT2Config(
        vocab_size=V, n_positions=64, n_embd=64, n_layer=2, n_head=4, pad_token_id=0, eos_token_id=1, bos_token_id=1,
        num_labels=1,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(3, V, (1024, PROMPT), generator=generator).tolist()
    rows = Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * PROMPT for _ in ids]})
    ends = [time.perf_counter()]

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        settings = PPOConfig(
            output_dir=folder, use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none",
            num_sample_generations=0, temperature=1.0, save_strategy="no", disable_tqdm=True, learning_rate=3e-4,
            per_device_train_batch_size=BATCH, gradient_accumulation_steps=1,
            num_mini_batches=MINIBATCHES, num_ppo_epochs=1, response_length=ANSWER,
            local_rollout_forward_batch_size=BATCH,
            total_episodes=BATCH * (SKIPPED + COUNTED), stop_token="eos",
        )  # fmt: skip
        trainer = PPOTrainer(
            args=settings, processing_class=tokenizer, model=GPT2LMHeadModel(config), ref_model=GPT2LMHeadModel(config),
            reward_model=GPT2ForSequenceClassification(config), value_model=GPT2ForSequenceClassification(config),
            train_dataset=rows, eval_dataset=rows.select(range(8)), callbacks=[Watch()],
        )  # fmt: skip
        ends.append(time.perf_counter())
        trainer.train()
    times = [b - a for a, b in zip(ends[1:], ends[2:])]
    return times[SKIPPED : SKIPPED + COUNTED]


def run_one(which: str) -> None:
    """Run one of them here, and print samples per second and the most memory that the process ever held, in MB."""
    import resource

    times = {"ours": ours, "theirs": theirs}[which]()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"RESULT {BATCH * len(times) / sum(times):.2f} {memory:.1f}")


def asked(python: str, which: str) -> tuple[float, float]:
    """(samples per second, MB) of a process of its own. Errors: RuntimeError with what it said, if it fails."""
    done = subprocess.run([python, __file__, "--only", which], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    if not lines:
        raise RuntimeError(f"{which} did not finish:\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}")
    _, speed, memory = lines[-1].split()
    return float(speed), float(memory)


def measure(tiny: bool = False, other: str | None = None, rounds: int = 3) -> list[Row]:
    """Rows for run.py, the two taking turns; none without the python of an environment with TRL."""
    if other is None:
        return []
    found = [(asked(sys.executable, "ours"), asked(other, "theirs")) for _ in range(rounds)]
    speed, theirs = ([each[side][0] for each in found] for side in (0, 1))
    memory = statistics.median(a[1] / b[1] for a, b in found)
    note = f"episodes per second: {statistics.median(speed):.0f}, TRL {statistics.median(theirs):.0f}"
    return [
        ratio("PPO, episodes per second beside TRL 1.12.0", speed, theirs, note=note),
        Row("PPO, peak memory beside TRL 1.12.0", memory, unit="times as much"),
    ]


def main() -> None:
    """Take turns, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=("ours", "theirs"), help="measure one here, without the other")
    parser.add_argument("--other", help="the python of an environment with TRL 1.12.0")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if args.only:
        return run_one(args.only)
    if args.other:
        for row in measure(other=args.other, rounds=args.rounds):
            print(row)
        return
    speeds, memories = zip(*(asked(sys.executable, "ours") for _ in range(args.rounds)))
    print(f"{statistics.median(speeds):.0f} samples/s ({min(speeds):.0f} to {max(speeds):.0f}), "
          f"{statistics.median(memories):.0f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
