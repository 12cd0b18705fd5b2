"""Pre-training a GPT-2 of any size on your own data: the classroom's model on a laptop, 124M on a GPU, by one command.

    python -m minigpt.experiments.pretrain_gpt2 --preset classroom --data my.txt --out run
    python -m minigpt.experiments.pretrain_gpt2 --preset 124m --data FOLDER --out run
    python -m minigpt.experiments.pretrain_gpt2 --from FOLDER --data my.txt --out run        published weights go on

--data is a text (a file, or a folder with .txt and .md files), which is encoded once, or a file or folder of tokens
(.bin, .npy). The same command again goes on where it stopped. In the folder --out: checkpoint/ (safetensors and JSON),
tokens.bin, and at the end model/, a GPT-2 in its published form. docs/beyond_the_laptop.md says how long it takes.
On several GPUs: torchrun --nproc-per-node 8 -m minigpt.experiments.pretrain_gpt2 ... (the same words); with --shard
each holds only its share of the weights, so that the model may be larger than one of them.
"""

import argparse
import contextlib
import functools
import os
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from minigpt import checkpoint, devices, hub, sample, train
from minigpt import tokenizer as tokenizers
from minigpt.experiments import own_text, token_files
from minigpt.io import files
from minigpt.model import GPT, GPTConfig
from minigpt.tokenizer import Tokenizer, train_bpe
from minigpt.train import TrainConfig, TrainState


@dataclass(frozen=True)
class Preset:
    """A size, and how it is trained."""

    model: GPTConfig  # its vocabulary is replaced by that of the data
    training: TrainConfig
    batch_tokens: int  # tokens in an update
    micro: int  # windows that are computed at once; a batch of more is computed in parts
    n_vocab: int  # of a tokenizer that has to be trained: the most
    validate_every: int  # updates
    n_validation: int  # tokens that are read for it


# 124M as GPT-2's smallest, section 2.3 and table 2, trained as GPT-3's smallest (table 2.1: half a million tokens in a
# batch, 6e-4; appendix B) on ten billion tokens, which is a common choice for one machine; GPT-2 prints neither.
PRESETS = {
    "classroom": Preset(
        GPTConfig(
            n_vocab=1, n_ctx=64, n_layers=2, n_heads=4, d_model=64, norm="pre", init="gpt2", init_std=0.125,
            position_init="sinusoid",
        ),
        TrainConfig(n_steps=600, lr=4e-3, warmup_steps=40, final_lr_fraction=0.1, weight_decay=0.1),
        batch_tokens=1024, micro=16, n_vocab=1024, validate_every=100, n_validation=20_000,
    ),
    "124m": Preset(
        GPTConfig(n_vocab=1, n_ctx=1024, n_layers=12, n_heads=12, d_model=768, norm="pre", init="gpt2"),
        TrainConfig(n_steps=19_073, lr=6e-4, warmup_steps=715, final_lr_fraction=0.1, weight_decay=0.1),
        batch_tokens=512 * 1024, micro=64, n_vocab=32_768, validate_every=250, n_validation=500_000,
    ),
}  # fmt: skip


def vocabulary(data: Path, folder: Path | None, preset: Preset, out: Path) -> Tokenizer | None:
    """The tokenizer of a run: of the folder named, of an earlier start of this run, GPT-2's if it is on this computer
    (for contexts of 1,024), else one that is trained on the text. None for tokens whose vocabulary is not at hand.
    """
    if folder is not None:
        return hub.load_tokenizer(folder)
    kept = out / "vocabulary.tiktoken"
    if kept.exists():
        return tokenizers.load(kept)
    published = hub.find("gpt2") if preset.model.n_ctx >= 1024 else None
    if published is not None:
        return hub.load_tokenizer(published)
    if token_files.is_tokens(data):
        return None
    text = token_files.some_text(data, 4_000_000)
    trained = train_bpe([text], min(preset.n_vocab, max(300, own_text.vocabulary_size(text))))
    tokenizers.save(trained, kept)
    return trained


def largest_id(tokens: token_files.Tokens) -> int:
    """The largest id in the first million tokens of each piece."""
    return max(int(piece[:1_000_000].max()) for piece in (*tokens.training, *tokens.held_out))


class Run:
    """One run: model, data, and the folder in which it is kept."""

    def __init__(self, options):
        preset, out = PRESETS[options.preset], files.reader_path(options.out, "a folder for the run")
        data = own_text.expand(options.data)
        tokenizer = vocabulary(data, options.tokenizer or options.start, preset, out)
        if not token_files.is_tokens(data):
            data = token_files.write_tokens(data, tokenizer, out)
        self.shard = options.shard and devices.is_joined()
        first_place = devices.on_cpu if self.shard else contextlib.nullcontext
        if options.start:
            with first_place():
                self.gpt = hub.load(options.start)
            preset = replace(preset, training=replace(preset.training, lr=preset.training.lr / 10))
        n_ctx = self.gpt.config.n_ctx if options.start else options.context or preset.model.n_ctx
        self.tokens, self.tokenizer, self.out = token_files.open_tokens(data, n_ctx), tokenizer, out
        if not options.start:
            n_vocab = tokenizer.endoftext + 1 if tokenizer else max(50_257, largest_id(self.tokens) + 1)
            config = replace(preset.model, n_vocab=n_vocab, n_ctx=n_ctx)
            with first_place():
                self.gpt = GPT(config, torch.Generator().manual_seed(options.seed))
        if largest_id(self.tokens) >= self.gpt.config.n_vocab:
            raise ValueError(
                f"expected ids below {self.gpt.config.n_vocab} in {data}, got {largest_id(self.tokens)}: these tokens "
                "belong to another vocabulary"
            )
        where = devices.device()
        micro = options.micro or preset.micro
        parts = max(1, round((options.batch_tokens or preset.batch_tokens) / (micro * n_ctx)))
        n_steps = options.steps or preset.training.n_steps
        self.training = replace(
            preset.training, n_steps=n_steps, warmup_steps=min(preset.training.warmup_steps, n_steps // 10),
            lr=options.lr or preset.training.lr, accumulate=-(-parts // devices.world_size()),
            precision=options.precision or ("bf16" if where.type == "cuda" else "float32"),
            compile=where.type == "cuda" if options.compile is None else options.compile,
        )  # fmt: skip
        if micro * parts < devices.world_size():
            raise ValueError(f"expected a window for each of {devices.world_size()} processes; got {micro * parts}")
        self.batches = token_files.Windows(self.tokens.training, n_ctx, micro * parts, options.seed)
        self.reading = token_files.validation_batches(self.tokens, n_ctx, max(1, micro // 4), preset.n_validation)
        self.every, self.seed = options.validate_every or preset.validate_every, options.seed
        self.state, self.validated = TrainState(), []

    def key(self) -> dict:
        """What must be the same when the run goes on; how it is computed may change."""
        fixed = {name: value for name, value in asdict(self.training).items()
                 if name not in ("precision", "compile", "accumulate")}  # fmt: skip
        return {"model": asdict(self.gpt.config), "training": fixed, "windows": self.batches.batch_size,
                "seed": self.seed, "tokens": self.tokens.n_training}  # fmt: skip

    def resume(self) -> None:
        """Go on where an earlier start stopped. Errors: ValueError if another run lies in the folder."""
        place = self.out / "checkpoint"
        if not (place / checkpoint.JSON_NAME).exists():
            return
        kept, here = checkpoint.load(place).config, checkpoint.plain(self.key(), "the settings of a run")
        if kept != here:
            differ = [name for name in here if kept.get(name) != here[name]]
            raise ValueError(f"another run lies in {self.out} ({', '.join(differ)} differ): choose another --out")
        more = checkpoint.load_state(place, self.gpt, self.state)
        self.validated = [(int(step), float(loss)) for step, loss in more["validated"].tolist()]

    def save(self) -> None:
        """Keep everything that the next step depends on."""
        more = {"validated": torch.tensor(self.validated, dtype=torch.float64).reshape(-1, 2)}
        checkpoint.save_state(self.out / "checkpoint", self.gpt, self.state, self.key(), more)

    def whole_model(self) -> GPT:
        """The model with all its weights, on this process alone: of a sharded run, as it was saved last."""
        if not devices.is_sharded(self.gpt):
            return self.gpt
        with devices.on_cpu():
            gpt = GPT(self.gpt.config, torch.Generator())
        checkpoint.load_state(self.out / "checkpoint", gpt, TrainState())
        return gpt

    def validate(self) -> float:
        """Loss on the held-out tokens, in float32. Unit: nats per token."""
        loss = train.evaluate(self.gpt, self.reading).nats_per_token
        self.validated.append((self.state.step, loss))
        return loss

    def sample(self, n_new: int = 60) -> str:
        """What the model writes after the first held-out tokens; ids if no vocabulary is at hand."""
        prompt = torch.as_tensor(max(self.tokens.held_out, key=len)[:8].astype("int64"))
        n_new = min(n_new, self.gpt.config.n_ctx + 1 - len(prompt))
        generator = torch.Generator().manual_seed(self.seed)
        ids = sample.generate(self.gpt, prompt, n_new, generator, temperature=0.8).tolist()
        return self.tokenizer.decode(ids) if self.tokenizer else " ".join(map(str, ids))


def pretrain(run: Run, stop_after: int | None = None, save_every: float = 600.0, say=print) -> None:
    """Train from where the run is to its end, or to step `stop_after`; say now and then how it goes.

    It is saved every save_every seconds, when it stops, at Ctrl-C, and if another process is lost; a sharded run, which
    all processes save together, only every save_every seconds and when it stops.
    """
    last, stop = run.training.n_steps, min(run.training.n_steps, stop_after or run.training.n_steps)
    if run.state.step >= stop:
        return
    model = devices.sharded(run.gpt) if run.shard else devices.parallel(run.gpt)
    meter, saved, said, whole = devices.Meter(run.gpt), time.monotonic(), time.monotonic(), not run.shard
    tiles = devices.of(run.gpt).type == "cuda"
    loss_fn = train.next_token_loss_in_tiles if tiles else train.next_token_loss
    records = train.train(model, run.batches, run.training, loss_fn, state=run.state)
    first = devices.rank() == 0 or run.shard  # of several processes the first one speaks, validates and saves
    try:
        for record in records:
            if record.step == stop and not first:
                break
            if not first:
                continue
            meter.add(record)
            due = record.step % run.every == 0 or record.step == stop
            if due or record.step <= 2 or time.monotonic() - said > 20:
                speed = meter.line()
                say(f"step {record.step} of {last}: loss {record.loss:.3f}, rate {record.lr:.2g}, "
                    f"{record.n_tokens:,} tokens{', ' if speed else ''}{speed}")  # fmt: skip
                said = time.monotonic()
            if due:
                say(f"  held-out loss {run.validate():.4f} nats per token\n  it writes: {run.sample()!r}")
                meter.seen.clear()
            tired = time.monotonic() - saved > save_every
            if devices.agreed(tired) if run.shard else tired:
                run.save()
                saved = time.monotonic()
            if record.step == stop:
                whole = True
                break
    finally:
        with undisturbed():
            records.close()
            if run.state.step and first and whole:
                run.save()


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m minigpt.experiments.pretrain_gpt2", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--preset", choices=PRESETS, default="124m", help="the size and how it is trained (default 124m)")
    add("--data", required=True, help="a text or tokens: a file or a folder")
    add("--out", default="run", help="the folder of the run (default: run)")
    add("--from", dest="start", metavar="FOLDER", help="go on from published weights: a folder as `hub.fetch` makes it")
    add("--tokenizer", metavar="FOLDER", help="a published vocabulary: the folder with vocab.json and merges.txt")
    add("--steps", type=int, help="updates in all (the rate falls until then)")
    add("--stop-after", type=int, help="stop after this step; the same command without it goes on")
    add("--lr", type=float, help="highest learning rate")
    add("--context", type=int, help="tokens in a window")
    add("--batch-tokens", type=int, help="tokens in an update")
    add("--micro", type=int, help="windows computed at once: fewer if the memory is too small")
    add("--validate-every", type=int, help="updates between two looks at the held-out tokens")
    add("--precision", choices=("float32", "bf16"), help="default: bf16 on a GPU")
    add("--compile", action=argparse.BooleanOptionalAction, help="default: on a GPU")
    add("--shard", action="store_true", help="under torchrun: each process holds only a share of the weights")
    add("--seed", type=int, default=0)
    return parser.parse_args(argv)


@contextlib.contextmanager
def asked_to_stop():
    """Let a request to end this process (SIGTERM: from torchrun, a batch system, `kill`) do what Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def undisturbed():
    """Inside, requests to stop are not heard: the run is being saved because it stops already."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def lost(error: RuntimeError) -> bool:
    """Whether it says that another process of this run cannot be reached any more."""
    words = ("closed by peer", "reset by peer", "refused", "broken pipe", "socket", "timed out", "nccl", "gloo")
    return devices.world_size() > 1 and any(word in str(error).lower() for word in words)


def main(argv: list[str]) -> int:
    """Train, and say how it goes; 0 if all went well, 1 with one line if something does not fit."""
    options = parse(argv)
    try:
        with asked_to_stop(), devices.joined():
            try:
                return _run(options)
            except RuntimeError as error:
                if not lost(error):
                    raise
                n = devices.world_size()
                print(f"process {devices.rank()} of {n} (counted from 0) has lost another one, which was ended or has "
                      f"failed: {str(error).splitlines()[0]}\nThe same command goes on from the last checkpoint in "
                      f"{options.out}, with {n} processes or another number.", file=sys.stderr, flush=True)  # fmt: skip
                return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here")
        return 130
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    """A run, in this process."""
    if devices.rank():  # the first process prepares the data, the others wait for it
        torch.distributed.barrier()
    run = Run(options)
    if devices.is_joined() and not devices.rank():
        torch.distributed.barrier()
    run.resume()
    say = functools.partial(print, flush=True) if devices.rank() == 0 else lambda words: None
    where, n, parts = next(run.gpt.parameters()).device, run.gpt.n_params(), run.training.accumulate
    say(f"{n:,} parameters on {where}, {run.tokens.n_training:,} tokens, {run.batches.batch_size} windows of "
        f"{run.gpt.config.n_ctx} in an update{f', in {parts} parts' * (parts > 1)}, {run.training.precision}"
        + (f"; goes on at step {run.state.step}" if run.state.step else ""))  # fmt: skip
    pretrain(run, options.stop_after, say=say)
    if run.state.step == run.training.n_steps and not devices.rank() and not (run.out / "model").exists():
        hub.save(run.whole_model(), run.out / "model")
        say(f"the model is in {run.out / 'model'}")
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    if "RANK" in os.environ:  # of several processes: all is said and saved. A thread of torch's that still holds a tensor
        sys.stdout.flush()  # while Python takes itself down can abort the process, and torchrun ends the others for it
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
