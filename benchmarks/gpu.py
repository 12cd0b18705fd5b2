"""What does one GPU give this book? Parity with the CPU, speed and memory of GPT-2 124M, writing, a chapter, RLHF; and
does everything run there: the beginnings of all experiments, all lessons and labs, training with torchrun?

    python benchmarks/gpu.py --out FOLDER            on a machine with an NVIDIA GPU: seven minutes at most
    python benchmarks/gpu.py --out FOLDER --tiny     every part on the CPU with tiny sizes, to see that it runs
    python benchmarks/gpu.py --table FOLDER/gpu.json                  the results as a Markdown table
    python benchmarks/gpu.py --table FOLDER/gpu.json --into docs/beyond_the_laptop.md     ... put into that page

Each part runs in a process of its own with a time limit; what it has found is on disk at every moment, so a part that
fails or is cut off costs nothing but itself. The CPU's side (one thread) runs meanwhile in the background. Times are
medians, taken after torch.cuda.synchronize().
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 415  # seconds for everything
GPU_PARTS = {"parity": 45, "train": 125, "sampling": 80, "ppo": 30, "chapter": 50,
             "command": 110, "canaries": 110, "lessons": 190, "processes": 130}  # fmt: skip  # name -> limit in seconds
UNTIMED = ("command", "canaries", "lessons", "processes")  # these run side by side, after the others
CPU_PARTS = ("parity", "ppo", "chapter")  # these run on one CPU thread, too
WRONG = ": cells with an error"  # a notebook's row
PLACE = "<!-- measured: benchmarks/gpu.py -->"  # in docs/: the table stands behind this line


def failure(error: BaseException) -> str:
    """An error in a line, and where it happened."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]} ({Path(last.filename).name}, {last.lineno})"


class Log:
    """Rows of one part, written to disk whenever there is one more."""

    def __init__(self, path: Path, part: str, device: str, seconds: float):
        self.path, self.begin, self.end = path, time.perf_counter(), time.perf_counter() + seconds
        self.found = {"part": part, "device": device, "rows": [], "notes": [], "more": {}, "error": None}

    def row(self, what: str, value: float, unit: str, each=()) -> None:
        """One result; `each` are the single measurements behind a median."""
        spread = [min(each), max(each)] if len(each) > 1 else None
        one = {"what": what, "value": value, "unit": unit, "spread": spread, "n": max(1, len(each))}
        self.found["rows"].append(one)
        self.write()

    def note(self, words: str) -> None:
        self.found["notes"].append(words)
        self.write()

    def write(self) -> None:
        self.found["seconds"] = round(time.perf_counter() - self.begin, 1)
        self.path.write_text(json.dumps(self.found, indent=1))

    def left(self) -> float:
        """Seconds until the limit of this part."""
        return self.end - time.perf_counter()

    @contextlib.contextmanager
    def trying(self, what: str):
        """Go on if this fails, and say why it did."""
        try:
            yield
        except Exception as error:  # out of memory, no compiler, another version of a library: all worth a line
            self.note(f"{what} failed: {failure(error)}")


# --- what every part needs --------------------------------------------------------------------------------------------


def wait(device) -> None:
    """Let the GPU finish what it was told to do."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forget(device) -> None:
    """Free what is no longer needed, and count the memory anew."""
    import gc

    import torch

    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def memory(device) -> float:
    """The most memory held, in GB: by tensors on a GPU, by the whole process on the CPU."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def step_seconds(
    records, device, n_skipped: int, n_timed: int, until: float = float("inf"), together: int = 1
) -> list[float]:
    """Seconds of single steps, the mean of so many together, after which the GPU is waited for; first ones skipped."""
    times = []
    begin = time.perf_counter()
    for number, _ in enumerate(records, start=1 - n_skipped):
        if number > 0 and number % together:
            continue
        wait(device)
        now = time.perf_counter()
        if number > 0:
            times.append((now - begin) / together)
        begin = now
        if len(times) == n_timed or (now > until and len(times) > 1):
            break
    return times


# --- the parts --------------------------------------------------------------------------------------------------------


def parity(device, tiny: bool, log: Log) -> None:
    """Losses of the first 200 steps of chapter 01's GPT in float32."""
    import torch

    from minigpt import attention, train
    from minigpt.batches import DocumentBatches
    from minigpt.experiments import dataset, sizes
    from minigpt.model import GPT

    n_steps = 8 if tiny else 200
    data = dataset.story_dataset(300 if tiny else 4000, 20)
    config = replace(sizes.PRETRAINING, n_steps=n_steps, warmup_steps=n_steps // 10)
    for fused in (device.type == "cuda", device.type != "cuda"):  # the device's own way first
        gpt = GPT(sizes.GPT1, torch.Generator().manual_seed(0))
        attention.use_fused(gpt, fused)
        batches = DocumentBatches(data.corpus, data.tokenizer, dataset.N_CTX, dataset.TOKENS_PER_BATCH, 0)
        records = train.train(gpt, batches, config, generator=torch.Generator().manual_seed(0))
        losses = [record.loss for record in records]
        log.found["more"]["fused" if fused else "formula"] = losses
        way = "fused attention" if fused else "the formula"
        log.row(f"loss of step {n_steps}, {way}", losses[-1], "nats per token")


def gpt2(tiny: bool):
    """GPT-2 124M, or a tiny one of its form; and the batch sizes to try, the largest first."""
    from minigpt.model import GPTConfig

    if tiny:
        return GPTConfig(n_vocab=250, n_ctx=32, n_layers=2, n_heads=2, d_model=32, norm="pre", init="gpt2"), (4, 2)
    form = {"n_layers": 12, "n_heads": 12, "d_model": 768, "norm": "pre", "init": "gpt2"}
    return GPTConfig(n_vocab=50_257, n_ctx=1024, **form), (64, 32, 16, 8)


def train_124m(device, tiny: bool, log: Log) -> None:
    """Tokens per second, share of the peak and memory of training GPT-2 124M at context 1,024, in several ways."""
    import numpy as np
    import torch

    from minigpt import attention, devices, scaling, train
    from minigpt.batches import WindowBatches
    from minigpt.model import GPT

    config, sizes = gpt2(tiny)
    rng = np.random.default_rng(0)
    ids = rng.zipf(1.3, 200_000 if tiny else 5_000_000) % config.n_vocab  # frequent and rare ones, as in text
    ids = ids.astype(np.uint16)
    gpt = GPT(config, torch.Generator().manual_seed(0))  # its weights go on from way to way: no speed depends on them
    peak, flops = devices.peak_flops(device) or float("nan"), devices.training_flops(gpt)
    shape = config.n_layers, config.d_model, config.n_vocab, config.n_ctx
    known = 6 * (scaling.count_params(*shape) - config.n_ctx * config.d_model)
    known += 12 * config.n_layers * config.d_model * config.n_ctx  # as PaLM, nanoGPT and others count
    log.row("training FLOPs per token, as scaling counts", flops, "FLOPs")
    log.row("training FLOPs per token, as 6 N + 12 layers width context", known, "FLOPs")
    if peak == peak:
        log.row("peak of the card in bfloat16, as printed by its maker", peak / 1e12, "TFLOP/s")

    def row(name: str, what: str, number: float, unit: str, each=()) -> None:
        if number == number:  # on the CPU there is no peak
            log.row(f"{name}: {what}", number, unit, each)

    def measure(what: str, sizes, n_timed: int, fused: bool = True, accumulate: int = 1, **how) -> None:
        for size in sizes:
            gpt.zero_grad()
            forget(device)
            if how.get("compile"):
                torch.compiler.reset()  # another size would be compiled for sizes of all kinds, which is slower
            attention.use_fused(gpt, fused)
            training = train.TrainConfig(
                n_steps=1000, lr=6e-4, warmup_steps=100, weight_decay=0.1, accumulate=accumulate, **how
            )
            batches = WindowBatches(ids, config.n_ctx, size * accumulate)
            begin = time.perf_counter()
            try:
                records = train.train(gpt, batches, training, train.next_token_loss_in_tiles,
                                      generator=torch.Generator().manual_seed(0))  # fmt: skip
                next(records)
                wait(device)
                first = time.perf_counter() - begin
                until = log.end - 5
                times = step_seconds(records, device, 2, n_timed, until, 1 if tiny or accumulate > 1 else 4)
            except torch.OutOfMemoryError:
                log.note(f"{what}: {size} windows at once do not fit into the memory")
                records = None
                continue
            speed = [size * accumulate * config.n_ctx / seconds for seconds in times]
            median = statistics.median(speed)
            name = f"{what}, {size} windows" + (f" x {accumulate}" if accumulate > 1 else "")
            log.row(f"{name}: speed", median, "tokens/s", speed)
            row(name, "share of the peak (MFU)", 100 * median * flops / peak, "%")
            row(name, "MFU as 6 N + 12 layers width context", 100 * median * known / peak, "%")
            log.row(f"{name}: a step", statistics.median(times), "s", times)
            log.row(f"{name}: the first step", first, "s")
            log.row(f"{name}: memory", memory(device), "GB")
            return

    n = 2 if tiny else 5
    with log.trying("eager, bf16"):
        measure("eager, bf16, fused attention", sizes[1:], n, precision="bf16")
    with log.trying("compiled, bf16"):
        measure("compiled, bf16, fused attention", sizes, n, precision="bf16", compile=True)
    if log.left() > 30 or tiny:
        with log.trying("half a million tokens a step"):
            n_parts = 2 if tiny else 8
            measure("compiled, bf16, a batch in parts", sizes, 3, accumulate=n_parts, precision="bf16", compile=True)
    if log.left() > 40 or tiny:
        with log.trying("cuDNN's attention"):
            from torch.nn.attention import SDPBackend, sdpa_kernel

            backends = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
            with sdpa_kernel(backends, set_priority=True):
                measure("compiled, bf16, cuDNN's attention", sizes, n, precision="bf16", compile=True)
    for what, how in (
        ("eager, bf16, the formula", {"fused": False, "precision": "bf16"}),
        ("eager, float32, fused attention", {}),
    ):
        if log.left() > 12 or tiny:
            with log.trying(what):
                measure(what, sizes[-2:], 2, **how)


def sampling(device, tiny: bool, log: Log) -> None:
    """Tokens per second when GPT-2 124M writes, with a cache, beside transformers.generate, both in turn."""
    import torch

    from minigpt.model import GPT
    from minigpt.sample import generate

    config, _ = gpt2(tiny)
    n_new, rounds = (8, 1) if tiny else (200, 3)
    gpt = GPT(config, torch.Generator().manual_seed(0)).eval()
    other = None
    try:
        from transformers import GPT2Config, GPT2LMHeadModel

        theirs = GPT2Config(
            vocab_size=config.n_vocab, n_positions=config.n_ctx, n_embd=config.d_model, n_layer=config.n_layers,
            n_head=config.n_heads, bos_token_id=0, eos_token_id=None, pad_token_id=0,
        )  # fmt: skip
        other = GPT2LMHeadModel(theirs).to(device).eval()
    except Exception as error:
        log.note(f"transformers was not measured: {type(error).__name__}: {str(error)[:200]}")

    def ours(prompt):
        generate(gpt, prompt, n_new, torch.Generator().manual_seed(1))

    def ours_without_cache(prompt):
        generate(gpt, prompt, n_new // 4, torch.Generator().manual_seed(1), use_cache=False)

    @torch.no_grad()
    def theirs_generate(prompt):
        other.generate(prompt, do_sample=True, top_k=0, max_new_tokens=n_new, min_new_tokens=n_new,
                       attention_mask=torch.ones_like(prompt))  # fmt: skip

    for dtype in (torch.float32, torch.bfloat16):
        gpt.to(dtype)
        ways = {"miniGPT": (ours, n_new), "miniGPT without cache": (ours_without_cache, n_new // 4)}
        if other is not None:
            other.to(dtype)
            ways["transformers"] = theirs_generate, n_new
        for B in (1, 16):
            if log.left() < 10 and not tiny:
                log.note(f"no time for {dtype}, batch {B}")
                continue
            prompt = torch.zeros(B, 16, dtype=torch.long, device=device)
            speeds = {name: [] for name in ways}
            for number in range(rounds + 1):
                for name, (act, n) in ways.items():
                    with log.trying(f"{name}, {dtype}, batch {B}"):
                        wait(device)
                        begin = time.perf_counter()
                        act(prompt)
                        wait(device)
                        if number or tiny:  # the first round is not counted
                            speeds[name].append(B * n / (time.perf_counter() - begin))
            for name, each in speeds.items():
                if each:
                    what = f"{name}, {str(dtype).removeprefix('torch.')}, batch {B}"
                    log.row(what, statistics.median(each), "tokens/s", each)
    log.row("memory", memory(device), "GB")


def ppo_iteration(device, tiny: bool, log: Log) -> None:
    """Seconds of one PPO iteration of chapter 04: 64 answers of up to 56 tokens, networks that are not trained."""
    import copy

    import torch

    from minigpt import ppo
    from minigpt.experiments import sizes
    from minigpt.experiments.instructgpt import dialogue, step3_ppo
    from minigpt.model import GPT
    from minigpt.reward_model import RewardModel
    from minigpt.worlds import tales

    data = dialogue.tale_dataset(600)
    policy = GPT(sizes.INSTRUCTGPT, torch.Generator().manual_seed(0))
    judge = RewardModel(GPT(sizes.INSTRUCTGPT, torch.Generator().manual_seed(1)))
    torch.nn.init.constant_(judge.head.weight, 0.1)
    n = 2 if tiny else 12
    changes = {"n_iterations": n + 2, "end_id": data.tokenizer.endoftext}
    config = replace(step3_ppo.PPO, **changes | ({"batch_size": 8, "longest": 6} if tiny else {}))
    with mock.patch.object(dialogue, "tale_dataset", lambda: data):
        prompts = dialogue.prompt_ids(tales.requests("training"))
    agent = ppo.ActorCritic(copy.deepcopy(policy), RewardModel(copy.deepcopy(policy)))
    forget(device)
    records = ppo.ppo(agent, policy, judge.score, prompts, config, torch.Generator().manual_seed(0))
    times = step_seconds(records, device, 1 if tiny else 2, n, log.end - 5)
    log.row("one iteration of PPO", statistics.median(times), "s", times)
    log.row("memory", memory(device), "GB")


def chapter(device, tiny: bool, log: Log) -> None:
    """Chapter 01's pre-training, from first to last step."""
    import torch

    from minigpt import train
    from minigpt.batches import DocumentBatches, evaluation_batches
    from minigpt.experiments import dataset, sizes
    from minigpt.model import GPT

    data = dataset.story_dataset(300, 20) if tiny else dataset.story_dataset()
    batches = DocumentBatches(data.corpus, data.tokenizer, dataset.N_CTX, dataset.TOKENS_PER_BATCH, 0)
    n_steps = 6 if tiny else len(batches)
    config = replace(sizes.PRETRAINING, n_steps=n_steps, warmup_steps=min(60, n_steps // 10))
    gpt = GPT(sizes.GPT1, torch.Generator().manual_seed(0))
    forget(device)
    begin = time.perf_counter()
    records = train.train(gpt, batches, config, generator=torch.Generator().manual_seed(0))
    times = step_seconds(records, device, 0, n_steps, log.end - 10)
    log.row("a step", statistics.median(times), "s", times)
    log.row("steps made", len(times), "steps")
    if len(times) == n_steps:
        log.row("all steps", time.perf_counter() - begin, "s")
    else:
        log.row("all steps, from the median of those made", n_steps * statistics.median(times), "s")
    reading = evaluation_batches(data.held_out_corpus, data.tokenizer, dataset.N_CTX, 4096)
    log.row("held-out loss above the floor", train.evaluate(gpt, reading).nats_per_token - data.floor.mean, "nats")
    log.row("memory", memory(device), "GB")


def command(device, tiny: bool, log: Log) -> None:
    """The command of docs/beyond_the_laptop.md on a file of tokens: trained, validated, sampled, saved, continued."""
    import numpy as np

    from minigpt.experiments import pretrain_gpt2

    with tempfile.TemporaryDirectory() as folder:
        ids = np.random.default_rng(0).zipf(1.3, 20_000 if tiny else 3_000_000) % (200 if tiny else 50_000)
        ids.astype(np.uint16).tofile(Path(folder, "train.bin"))
        ids[-5_000 if tiny else -200_000 :].astype(np.uint16).tofile(Path(folder, "val.bin"))
        preset = ["--preset", "classroom" if tiny else "124m", "--data", folder, "--out", str(Path(folder, "run"))]
        preset += ["--batch-tokens", "256" if tiny else "65536", "--micro", "2" if tiny else "16", "--no-compile"]
        for n_steps in (2, 4):
            begin = time.perf_counter()
            words = [*preset, "--steps", "4", "--stop-after", str(n_steps), "--validate-every", "2"]
            if pretrain_gpt2.main(words):
                raise RuntimeError(f"the command failed: {' '.join(words)}")
            log.row(f"up to step {n_steps} of 4, with validation, a sample and a checkpoint",
                    time.perf_counter() - begin, "s")  # fmt: skip


# --- does everything run there? ---------------------------------------------------------------------------------------


def side_by_side(commands: list[list[str]], at_once: int, log: Log, folder: Path) -> list[str | None]:
    """Run commands in processes, so many at once, until the part's time is over; what was wrong with each, or None.

    What the i-th says is in `folder`/i.txt.
    """
    waiting, running, wrong = list(enumerate(commands)), {}, ["not begun: no time was left"] * len(commands)
    while waiting or running:
        while waiting and len(running) < at_once and log.left() > 10:
            i, words = waiting.pop(0)
            with open(folder / f"{i}.txt", "w") as output:
                running[i] = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)
        for i, process in list(running.items()):
            if process.poll() is not None:
                wrong[i] = None if process.returncode == 0 else f"ended with code {process.returncode}"
                del running[i]
        if log.left() < 5:
            for i, process in running.items():
                process.terminate()  # torchrun ends its own processes, a notebook's kernel ends by itself
                wrong[i] = "cut off at its time limit"
            time.sleep(2)
            for process in running.values():
                process.kill()
            return wrong
        if waiting and not running:  # no time is left to begin another one
            return wrong
        time.sleep(0.1)
    return wrong


def lines_of(path: Path) -> list[dict]:
    """What was written so far, one JSON a line; a line that is not finished does not count."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def add_line(path: Path, found: dict) -> None:
    with open(path, "a") as output:
        output.write(json.dumps(found) + "\n")


def told(wrong: str, path: Path) -> str:
    """What was wrong with a process and, if it failed by itself, the last thing that it said."""
    said = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return f"{wrong}: {said[-1][:300] if said else 'it said nothing'}" if wrong.startswith("ended") else wrong


def measure_canaries(names: list[str], path: Path) -> None:
    """The beginnings of some experiments in this process; a line in a file for each."""
    from minigpt.experiments import __main__, measured

    for name in names:
        begin, found = time.perf_counter(), {"name": name, "error": None, "far": {}, "n": 0, "nan": 0}
        try:
            stored, now = measured.about(name)["canary"]["values"], __main__.canary(name)
            near = {each: abs(now[each] - value) <= 1e-3 * max(1e-3, abs(value)) for each, value in stored.items()}
            found["far"] = {each: (stored[each], now[each]) for each, close in near.items() if not close}
            found |= {"n": len(stored), "nan": sum(value != value for value in now.values())}
        except Exception as error:
            found["error"] = failure(error)
        add_line(path, found | {"seconds": round(time.perf_counter() - begin, 1)})


def canaries(device, tiny: bool, log: Log) -> None:
    """The first seconds of all the book's experiments: that each runs there, and how many numbers are the CPU's."""
    from minigpt.experiments import measured

    names = ["gpt4/held_out_pictures"] if tiny else list(measured.tables())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "canaries.jsonl")
        if tiny:
            measure_canaries(names, path)
        else:
            n = min(8, os.cpu_count() or 1)
            words = [sys.executable, __file__, "--out", folder, "--canaries"]
            for i, wrong in enumerate(side_by_side([[*words, *names[i::n]] for i in range(n)], n, log, Path(folder))):
                if wrong:
                    log.note(f"process {i}: {told(wrong, Path(folder, f'{i}.txt'))}")
        found = {each["name"]: each for each in lines_of(path)}
    ran = [each for each in found.values() if each["error"] is None]
    log.row("experiments whose beginning ran", len(ran), "experiments")
    log.row("of so many", len(names), "experiments")
    if ran:
        n, n_far = sum(each["n"] for each in ran), sum(len(each["far"]) for each in ran)
        log.row("numbers within 0.1 % of the CPU's", 100 * (1 - n_far / n), "%")
        log.row("numbers that are nan", sum(each["nan"] for each in ran), "numbers")
    for each in sorted(ran, key=lambda each: each["name"]):
        if each["far"]:
            log.found["more"][each["name"]] = each["far"]  # what differs: name -> the CPU's number, this device's
            log.row(f"{each['name']}: numbers within 0.1 %", 100 * (1 - len(each["far"]) / each["n"]), "%")
    for name in names:
        if name not in found or found[name]["error"]:
            log.note(f"{name}: {found[name]['error'] if name in found else 'not run'}")


def errors_of(number: int, cell) -> list[dict]:
    """The errors among the outputs of a cell."""
    failed = [each for each in cell.get("outputs", []) if each.output_type == "error"]
    return [{"cell": number, "error": f"{each.ename}: {' '.join(each.evalue.split())[:300]}"} for each in failed]


def run_notebook(book: Path, path: Path) -> None:
    """Every cell of a notebook in a fresh kernel, also after an error; a line in a file after each."""
    import nbformat
    from nbclient import NotebookClient

    nb, begin, errors = nbformat.read(book, as_version=4), time.perf_counter(), []
    cells = [(i, cell) for i, cell in enumerate(nb.cells) if cell.cell_type == "code"]
    client = NotebookClient(nb, timeout=None, kernel_name="python3", allow_errors=True,
                            resources={"metadata": {"path": str(book.parent)}})  # fmt: skip
    with client.setup_kernel():
        for n, (i, cell) in enumerate(cells, start=1):
            cell.outputs = []
            client.execute_cell(cell, i)
            errors += errors_of(i, cell)
            seconds = round(time.perf_counter() - begin, 1)
            add_line(path, {"cells": len(cells), "ran": n, "errors": errors, "seconds": seconds})


def lessons(device, tiny: bool, log: Log) -> None:
    """All cells of all lessons, and then of all labs, ten notebooks at once: which of them fail there."""
    try:
        import nbclient  # noqa: F401
        import nbformat
    except ImportError as error:
        log.note(f"the lessons were not run: nbclient is not installed ({error})")
        return
    with tempfile.TemporaryDirectory() as folder:
        if tiny:
            cells = [nbformat.v4.new_code_cell("x = 1"), nbformat.v4.new_code_cell("x + 1")]
            books = [Path(folder, "tiny.ipynb")]
            nbformat.write(nbformat.v4.new_notebook(cells=cells), books[0])
        else:
            books = sorted(ROOT.glob("chapters/0*.ipynb"), reverse=True)  # the long ones first
            books += sorted(ROOT.glob("chapters/labs/0*.ipynb"))
        words = [sys.executable, __file__, "--out", folder, "--notebook"]
        wrong = side_by_side([[*words, str(book)] for book in books], 1 if tiny else 10, log, Path(folder))
        found = {book: (lines_of(Path(folder, f"{book.stem}.jsonl")) or [None])[-1] for book in books}
        for i, book in enumerate(books):
            name = f"{'lab ' * (book.parent.name == 'labs')}{book.stem}"
            if wrong[i]:
                log.note(f"{name}: {told(wrong[i], Path(folder, f'{i}.txt'))}")
            if found[book] is None:
                continue
            log.found["more"][name] = found[book]
            log.row(f"{name}: cells that ran, of {found[book]['cells']}", found[book]["ran"], "cells")
            log.row(f"{name}{WRONG}", len(found[book]["errors"]), "cells")
            log.row(f"{name}: all of it", found[book]["seconds"], "s")
            for each in found[book]["errors"]:
                log.note(f"{name}, cell {each['cell']} (counted from 0): {each['error']}")


def losses_said(words: str) -> dict[int, float]:
    """Step -> loss, from what pretrain_gpt2 prints."""
    return {int(step): float(loss) for step, loss in re.findall(r"^step (\d+) of \d+: loss ([\d.naif]+)", words, re.M)}


def processes(device, tiny: bool, log: Log) -> None:
    """One small run alone, as one process of torchrun, and sharded, stopped half-way and continued: the same losses?"""
    import numpy as np

    n_steps = 2 if tiny else 40
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1"]
    with tempfile.TemporaryDirectory() as folder:
        ids = (np.random.default_rng(0).zipf(1.3, 40_000 if tiny else 400_000) % 200).astype(np.uint16)
        ids.tofile(Path(folder, "train.bin"))
        ids[-300 if tiny else -20_000 :].tofile(Path(folder, "val.bin"))
        words = ["-m", "minigpt.experiments.pretrain_gpt2", "--preset", "classroom", "--data", folder]
        words += ["--steps", str(n_steps), "--validate-every", str(n_steps // 2)]
        stop = ["--stop-after", str(n_steps // 2)]
        ways = {  # name -> command; the second list goes on where the first one stops
            "alone": [sys.executable, *words, "--out", str(Path(folder, "alone"))],
            "torchrun, one process": [*torchrun, *words, "--out", str(Path(folder, "one"))],
            "torchrun, sharded": [*torchrun, *words, "--out", str(Path(folder, "sharded")), "--shard", *stop],
        }
        if tiny:
            ways = {"alone": [*ways["alone"], "--context", "16", "--batch-tokens", "64", "--micro", "2"]}
        for first in (True, False):
            if not first:
                ways = {f"{name}, continued": words[:-2] for name, words in ways.items() if "--shard" in words}
            wrong = side_by_side(list(ways.values()), len(ways), log, Path(folder)) if ways else []
            for i, name in enumerate(ways):
                losses = losses_said(Path(folder, f"{i}.txt").read_text(errors="replace")) if not wrong[i] else {}
                log.row(f"{name}: ended well", float(wrong[i] is None), "yes (1) or no (0)")
                for step in sorted(losses)[-1:]:
                    log.row(f"{name}: loss of step {step}", losses[step], "nats per token")
                if wrong[i]:
                    log.note(f"{name}: {told(wrong[i], Path(folder, f'{i}.txt'))}")


ACTS = {"parity": parity, "train": train_124m, "sampling": sampling, "ppo": ppo_iteration, "chapter": chapter,
        "command": command, "canaries": canaries, "lessons": lessons, "processes": processes}  # fmt: skip


def do(part: str, word: str, path: Path, tiny: bool, limit: float) -> None:
    """One part in this process: its results in a file."""
    import torch

    from minigpt import devices

    log = Log(path, part, word, limit)
    log.write()
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as cache, mock.patch.dict(
        os.environ, {devices.VARIABLE: word, "MINIGPT_CACHE": cache, "MPLBACKEND": "agg"}
    ):
        try:
            if not tiny:
                torch.set_num_threads(1)
            compiled = torch.compile
            with mock.patch.object(torch, "compile", lambda f: compiled(f, backend="eager")) if tiny else (
                contextlib.nullcontext()
            ):  # fmt: skip
                ACTS[part](devices.device(), tiny, log)
        except Exception:
            log.found["error"] = traceback.format_exc()[-3000:]
    log.found["in all"] = round(time.perf_counter() - begin, 1)
    log.write()


# --- all parts --------------------------------------------------------------------------------------------------------


def machine(word: str) -> dict:
    """What this was measured on."""
    import torch

    about = {"python": platform.python_version(), "torch": torch.__version__, "cores": os.cpu_count(), "cuda": None}
    if word == "cuda":
        card = torch.cuda.get_device_properties(0)
        about |= {"card": card.name, "memory GB": round(card.total_memory / 1e9, 1), "cuda": torch.version.cuda}
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            asked = ["nvidia-smi", "--query-gpu=driver_version,power.limit,clocks.max.sm", "--format=csv,noheader"]
            said = subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout
            about["driver, power, clock"] = said.strip()
    with contextlib.suppress(ImportError):
        import transformers

        about["transformers"] = transformers.__version__
    return about


def start(part: str, word: str, folder: Path, tiny: bool, limit: float) -> subprocess.Popen:
    """A process for one part, with a group of its own, so that all of it can be ended."""
    words = [sys.executable, __file__, "--part", part, "--device", word, "--out", str(folder), "--limit", str(limit)]
    with open(folder / f"{part}-{word}.txt", "w") as output:
        return subprocess.Popen(
            words + ["--tiny"] * tiny, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        )  # fmt: skip


def end(process: subprocess.Popen, seconds: float) -> str | None:
    """Wait so long for a process, then end it with everything it started; what was wrong, or None."""
    try:
        process.wait(timeout=max(0.1, seconds))
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return "cut off at its time limit"
    return None if process.returncode == 0 else f"ended with code {process.returncode}"


def everything(folder: Path, tiny: bool, limit: float, parts: list[str], processes: bool) -> dict:
    """Run the parts, and put what they found together."""
    import torch

    word = "cuda" if torch.cuda.is_available() and not tiny else "cpu"
    if word == "cpu" and not tiny:
        sys.exit("there is no NVIDIA GPU here: use --tiny to see that every part runs")
    begin, wrong = time.perf_counter(), {}
    names = [(part, word) for part in GPU_PARTS if part in parts]
    behind = [(part, "cpu") for part in CPU_PARTS if part in parts and word != "cpu"]
    if not processes:
        for part, where in names:
            do(part, where, folder / f"{part}-{where}.json", tiny, GPU_PARTS[part])
    else:
        running = {each: (start(*each, folder, tiny, limit - 10), begin + limit) for each in behind}
        for part, where in names:
            left = min(GPU_PARTS[part], limit - (time.perf_counter() - begin) - 5)
            if left < 15 and not tiny:
                wrong[part, where] = "not begun: no time was left"
                continue
            process = start(part, where, folder, tiny, left - 5)
            if part in UNTIMED:  # nothing in it is timed to the last digit
                running[part, where] = process, time.perf_counter() + left
                continue
            wrong[part, where] = end(process, left)
            print(f"{part}: {wrong[part, where] or 'done'}, {time.perf_counter() - begin:.0f} s", flush=True)
        for (part, where), (process, until) in sorted(running.items(), key=lambda each: each[1][1]):
            wrong[part, where] = end(process, until - time.perf_counter())
            print(f"{part} on {where}: {wrong[part, where] or 'done'}, {time.perf_counter() - begin:.0f} s", flush=True)
    found = {
        "date": datetime.date.today().isoformat(), "machine": machine(word), "tiny": tiny,
        "seconds": round(time.perf_counter() - begin, 1), "parts": {},
    }  # fmt: skip
    for part, where in [*names, *behind]:
        path = folder / f"{part}-{where}.json"
        each = json.loads(path.read_text()) if path.exists() else {"rows": [], "notes": [], "more": {}, "error": None}
        each["error"] = each["error"] or wrong.get((part, where))
        found["parts"][f"{part} on {where}"] = each
    found["compared"] = compared(found["parts"])
    (folder / "gpu.json").write_text(json.dumps(found, indent=1))
    return found


def value(parts: dict, part: str, what: str) -> float | None:
    """The first row of a part whose name begins so."""
    rows = parts.get(part, {}).get("rows", [])
    return next((row["value"] for row in rows if row["what"].startswith(what)), None)


def compared(parts: dict) -> list[dict]:
    """GPU beside CPU: differences of losses, ratios of times."""
    rows = []
    losses = {
        (where, way): parts.get(f"parity on {where}", {}).get("more", {}).get(way)
        for where in ("cpu", "cuda") for way in ("formula", "fused")
    }  # fmt: skip
    for a, b in ((("cpu", "formula"), ("cuda", "fused")), (("cpu", "formula"), ("cuda", "formula")),
                 (("cpu", "formula"), ("cpu", "fused"))):  # fmt: skip
        if losses[a] and losses[b]:
            gaps = [abs(x - y) for x, y in zip(losses[a], losses[b])]
            what = f"greatest difference of {len(gaps)} losses, {' '.join(a)} and {' '.join(b)}"
            rows.append({"what": what, "value": max(gaps), "unit": "nats per token"})
    for part, what in (("ppo", "one iteration"), ("chapter", "a step"), ("chapter", "all steps")):
        cpu, gpu = (value(parts, f"{part} on {where}", what) for where in ("cpu", "cuda"))
        if cpu and gpu:
            rows.append({"what": f"{part}, {what}: one CPU thread / GPU", "value": cpu / gpu, "unit": "times"})
    for name, ours in [(r["what"], r["value"]) for r in parts.get("sampling on cuda", {}).get("rows", [])]:
        theirs = value(parts, "sampling on cuda", name.replace("miniGPT", "transformers"))
        if name.startswith("miniGPT,") and theirs:
            rows.append({"what": f"{name}: speed / transformers", "value": ours / theirs, "unit": "times"})
    return rows


def digits(x: float) -> str:
    """Four digits, and all of those before the point."""
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.4g}"


def one_row_a_notebook(rows: list[dict]) -> list[dict]:
    """The rows of a part; of a notebook's three rows (cells that ran, cells with an error, seconds) one is made."""
    errors = {row["what"].removesuffix(WRONG): row["value"] for row in rows if row["what"].endswith(WRONG)}
    names = [(row, row["what"].partition(": ")[0]) for row in rows]
    kept = [(row, name) for row, name in names if name not in errors or "cells that ran" in row["what"]]
    return [row | ({"what": f"{row['what']}, with an error: {errors[name]:.0f}"} if name in errors else {})
            for row, name in kept]  # fmt: skip


def table(found: dict) -> str:
    """The results as Markdown."""
    about = found["machine"]
    where = ", ".join(f"{name} {about[name]}" for name in about if about[name] is not None)
    lines = [f"Measured on {found['date']} in {found['seconds']:.0f} s" + (" (tiny sizes)" if found["tiny"] else "")]
    lines += [f"with {where}.", "", "| part | what | median | unit | from | to |", "|---|---|---|---|---|---|"]
    for part, each in [*found["parts"].items(), ("compared", {"rows": found["compared"], "error": None, "notes": []})]:
        for row in one_row_a_notebook(each["rows"]):
            spread = [digits(x) for x in row.get("spread") or ()] or ["", ""]
            lines.append(f"| {part} | {row['what']} | {digits(row['value'])} | {row['unit']} | {' | '.join(spread)} |")
    notes = [(part, note) for part, each in found["parts"].items() for note in each["notes"]]
    problems = [f"{part}: {note.split(' What to try:')[0]}" for part, note in notes]
    problems += [
        f"{part}: {each['error'].strip().splitlines()[-1]}" for part, each in found["parts"].items() if each["error"]
    ]
    return "\n".join([*lines, *(["", "Not as planned:", ""] if problems else []), *(f"- {each}" for each in problems)])


def into(page: Path, words: str) -> None:
    """Put a table into a page, in the place of the one that was there. Errors: ValueError for a page without one."""
    text = page.read_text(encoding="utf-8")
    if text.count(PLACE) != 2:
        raise ValueError(f"expected the line {PLACE} twice in {page}, before and behind the table")
    before, _, behind = text.split(PLACE)
    page.write_text(f"{before}{PLACE}\n\n{words}\n\n{PLACE}{behind}", encoding="utf-8")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.environ.get("OUT"), help="a folder for the results (default: $OUT)")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes on the CPU")
    parser.add_argument("--processes", action="store_true", help="with --tiny: a process for each part, too")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"seconds for everything (default {LIMIT})")
    parser.add_argument("--only", nargs="+", choices=GPU_PARTS, default=list(GPU_PARTS), help="only these parts")
    parser.add_argument("--part", choices=GPU_PARTS, help="one part, in this process")
    parser.add_argument("--device", default="cpu", help="with --part: cpu or cuda")
    parser.add_argument("--canaries", nargs="+", metavar="TABLE", help="the beginnings of these experiments")
    parser.add_argument("--notebook", type=Path, help="all cells of one notebook")
    parser.add_argument("--table", type=Path, help="print the results in this file as a table")
    parser.add_argument("--into", type=Path, help="with --table: put it into this page")
    options = parser.parse_args(argv)
    if options.table:
        words = table(json.loads(options.table.read_text()))
        print(words) if options.into is None else into(options.into, words)
        return 0
    if not options.out:
        parser.error("expected --out FOLDER, or the environment variable OUT")
    folder = Path(options.out).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if options.canaries or options.notebook:  # a part's own processes
        if options.canaries:
            measure_canaries(options.canaries, folder / "canaries.jsonl")
        else:
            run_notebook(options.notebook.resolve(), folder / f"{options.notebook.stem}.jsonl")
        return 0
    if options.part:
        do(options.part, options.device, folder / f"{options.part}-{options.device}.json", options.tiny, options.limit)
        return 0
    found = everything(folder, options.tiny, options.limit, options.only, options.processes or not options.tiny)
    print(table(found))
    return int(any(each["error"] for each in found["parts"].values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
