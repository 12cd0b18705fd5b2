"""The command that pre-trains a GPT-2: its files of tokens, a run that is cut, and published weights that go on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from minigpt import checkpoint, hub, tokenizer, train
from minigpt.experiments import pretrain_gpt2, token_files
from minigpt.model import GPT, GPTConfig

TEXT = "".join(f"The {a} fox met a {b} hen. They went {c}.\n" for a in ("red", "old", "sly") for b in ("big", "shy")
               for c in ("home", "to the lake", "away"))  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_published(tmp_path, monkeypatch):
    """No vocabulary of GPT-2 is at hand."""
    monkeypatch.setattr(hub, "find", lambda name="gpt2": None)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "my.txt"
    path.write_text(TEXT * 3, encoding="utf-8")
    return path


def words(data, out, *more):
    return ["--preset", "classroom", "--data", str(data), "--out", str(out), "--context", "16", "--batch-tokens", "64",
            "--micro", "4", "--steps", "8", "--validate-every", "4", *more]  # fmt: skip


def losses(out):
    state = train.TrainState()
    kept = checkpoint.load(out / "checkpoint")
    state.restore({}, kept.extra)
    return [record.loss for record in state.history], kept


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_text_is_encoded_once_and_read_back(tmp_path, text, monkeypatch):
    bytes_alone = tokenizer.Tokenizer({bytes([byte]): byte for byte in range(256)})
    folder = tmp_path / "two"
    folder.mkdir()
    (folder / "b.md").write_text("second é\r\n", encoding="utf-8", newline="")
    (folder / "a.txt").write_text("\ufefffirst\n" + TEXT, encoding="utf-8")
    (folder / ".hidden.txt").write_text("never", encoding="utf-8")
    monkeypatch.setattr(token_files, "PIECE", 7)  # many pieces
    path = token_files.write_tokens(folder, bytes_alone, tmp_path / "out")
    ids = np.fromfile(path, dtype=np.uint16)
    end = bytes_alone.endoftext
    assert ids.tolist() == [*("first\n" + TEXT).encode(), end, *"second é\n".encode(), end]
    before = path.stat().st_mtime_ns
    assert token_files.write_tokens(folder, bytes_alone, tmp_path / "out").stat().st_mtime_ns == before
    (folder / "b.md").write_text("other", encoding="utf-8")
    token_files.write_tokens(folder, bytes_alone, tmp_path / "out")
    assert np.fromfile(path, dtype=np.uint16).tolist()[-6:] == [*b"other", end]


def test_files_of_tokens_of_three_kinds(tmp_path):
    ids = np.arange(300, dtype=np.uint16)
    ids.tofile(tmp_path / "a.bin")
    header = np.zeros(256, dtype=np.int32)
    header[:3] = token_files.MAGIC, 1, 300
    with open(tmp_path / "b.bin", "wb") as file:
        header.tofile(file)
        (ids + 300).tofile(file)
    np.save(tmp_path / "c_val.npy", ids.astype(np.uint32) + 600)
    assert token_files.is_tokens(tmp_path)
    tokens = token_files.open_tokens(tmp_path, 8)
    assert [piece[0] for piece in tokens.training] == [0, 300] and tokens.n_training == 600
    assert [len(piece) for piece in tokens.held_out] == [300] and tokens.held_out[0][0] == 600
    alone = token_files.open_tokens(tmp_path / "a.bin", 8)
    assert len(alone.held_out[0]) == 9 and alone.training[0][-1] + 1 == alone.held_out[0][0]
    with pytest.raises(ValueError, match="at least one window of 400"):
        token_files.open_tokens(tmp_path, 400)
    (tmp_path / "odd.bin").write_bytes(b"abc")
    with pytest.raises(ValueError, match="two bytes"):
        token_files.open_tokens(tmp_path, 8)


def test_every_window_of_every_piece_comes_equally_often_and_none_crosses_pieces():
    pieces = (np.arange(0, 7), np.arange(100, 105), np.arange(200, 212))
    batches = token_files.Windows(pieces, 3, 50, seed=1)
    inputs, targets = batches[0]
    assert inputs.shape == targets.shape == (50, 3) and (targets == inputs + 1).all()
    assert all((a == b).all() for a, b in zip(batches[0], token_files.Windows(pieces, 3, 50, seed=1)[0]))
    assert not (batches[0][0] == batches[1][0]).all()
    starts = np.concatenate([batches[step][0][:, 0] for step in range(60)])
    found, counts = np.unique(starts, return_counts=True)
    assert found.tolist() == [*range(0, 4), *range(100, 102), *range(200, 209)]  # 4 + 2 + 9 places
    assert (np.abs(counts - 200) < 5 * np.sqrt(200)).all()


def test_tokens_are_never_read_as_a_whole(tmp_path, monkeypatch):
    """A file larger than any memory: full of holes, it takes no room on the disk either."""
    path = tmp_path / "large.bin"
    with open(path, "wb") as file:
        file.truncate(2 * 10**11)
    tokens = token_files.open_tokens(path, 16)
    inputs, _ = token_files.Windows(tokens.training, 16, 4)[0]
    assert tokens.n_training == 10**11 - token_files.MOST_HELD_OUT and inputs.shape == (4, 16)
    assert isinstance(tokens.training[0], np.memmap)


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_learns_and_goes_on_where_it_stopped(tmp_path, text, capsys):
    assert pretrain_gpt2.main(words(text, tmp_path / "whole")) == 0
    said = capsys.readouterr().out
    assert said.count("held-out loss") == 2 and said.count("it writes: '") == 2 and "step 8 of 8" in said
    assert pretrain_gpt2.main(words(text, tmp_path / "cut", "--stop-after", "3")) == 0
    assert not (tmp_path / "cut" / "model").exists()
    assert pretrain_gpt2.main(words(text, tmp_path / "cut")) == 0
    assert "goes on at step 3" in capsys.readouterr().out
    (whole, kept), (cut, kept_cut) = losses(tmp_path / "whole"), losses(tmp_path / "cut")
    assert cut == whole and len(whole) == 8 and whole[-1] < whole[0] - 0.5
    names = [name for name in kept.tensors if name.startswith("weights/")]
    assert names and all(torch.equal(kept.tensors[name], kept_cut.tensors[name]) for name in names)
    assert pretrain_gpt2.main(words(text, tmp_path / "cut")) == 0  # nothing is left to do
    gpt = hub.load(tmp_path / "whole" / "model")
    assert torch.equal(gpt.W_e.weight, kept.tensors["weights/W_e.weight"])


def test_a_batch_in_parts_is_the_same_run(tmp_path, text):
    for micro in ("4", "1"):
        assert pretrain_gpt2.main([*words(text, tmp_path / micro), "--micro", micro]) == 0
    np.testing.assert_allclose(losses(tmp_path / "1")[0], losses(tmp_path / "4")[0], rtol=1e-4)


def test_ctrl_c_keeps_what_was_done(tmp_path, text, monkeypatch, capsys):
    def stopped(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(pretrain_gpt2.Run, "validate", stopped)
    assert pretrain_gpt2.main(words(text, tmp_path / "run")) == 130
    assert "goes on from here" in capsys.readouterr().out and len(losses(tmp_path / "run")[0]) == 4


def test_another_run_in_the_folder_is_not_overwritten(tmp_path, text, capsys):
    assert pretrain_gpt2.main(words(text, tmp_path / "run", "--stop-after", "1")) == 0
    assert pretrain_gpt2.main(words(text, tmp_path / "run", "--lr", "0.5")) == 1
    assert "another run lies in" in capsys.readouterr().err


@pytest.mark.parametrize("what, message", [("none.txt", "there is no file"), ("empty", "found none")])
def test_data_that_is_not_there_is_one_line(tmp_path, what, message, capsys):
    (tmp_path / "empty").mkdir()
    assert pretrain_gpt2.main(words(tmp_path / what, tmp_path / "run")) == 1
    assert message in capsys.readouterr().err


def test_published_weights_go_on(tmp_path, text, capsys):
    """A folder in the published form: weights, configuration, vocabulary."""
    config = GPTConfig(n_vocab=257, n_ctx=16, n_layers=1, n_heads=2, d_model=8, norm="pre")
    gpt = GPT(config, torch.Generator().manual_seed(0))
    folder = tmp_path / "published"
    hub.save(gpt, folder)
    ids = {letter: i for i, letter in enumerate(hub.byte_letters())} | {"<|endoftext|>": 256}
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    assert pretrain_gpt2.main([*words(text, tmp_path / "run"), "--from", str(folder)]) == 0
    (first, *_), kept = losses(tmp_path / "run")
    tokens = token_files.open_tokens(tmp_path / "run" / "tokens.bin", 16)
    batch = token_files.Windows(tokens.training, 16, 4)[0]
    assert first == pytest.approx(train.next_token_loss(gpt, *map(torch.as_tensor, batch)).item(), rel=1e-5)
    assert kept.config["model"]["n_vocab"] == 257 and kept.config["training"]["lr"] == pytest.approx(4e-4)


def test_tokens_of_another_vocabulary_are_refused(tmp_path, text, capsys):
    gpt = GPT(GPTConfig(n_vocab=50, n_ctx=16, n_layers=1, n_heads=2, d_model=8, norm="pre"), torch.Generator())
    hub.save(gpt, tmp_path / "published")
    (np.arange(900) % 60).astype(np.uint16).tofile(tmp_path / "ids.bin")
    monkey = [*words(tmp_path / "ids.bin", tmp_path / "run"), "--from", str(tmp_path / "published")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "load_tokenizer", lambda folder: None)
        assert pretrain_gpt2.main(monkey) == 1
    assert "another vocabulary" in capsys.readouterr().err


def test_the_large_preset_is_gpt2():
    preset = pretrain_gpt2.PRESETS["124m"]
    shape = {**vars(preset.model), "n_vocab": 50_257}
    assert GPT_PARAMETERS == sum(p.numel() for p in meta(GPTConfig(**shape)).parameters())
    assert preset.batch_tokens * preset.training.n_steps == pytest.approx(10e9, rel=1e-3)


GPT_PARAMETERS = 124_439_808


def meta(config):
    with torch.device("meta"):
        return GPT(config, torch.Generator())


# --- many processes ---------------------------------------------------------------------------------------------------


def torchrun(n, arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n), "-m",
               "minigpt.experiments.pretrain_gpt2", *arguments]  # fmt: skip
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=one_thread)


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [[], ["--shard"]], ids=["copies", "shares"])
def test_two_processes_are_one_with_the_whole_batch(tmp_path, text, sharded):
    """Each with a copy of the model, or with its share; and a run that two processes began is ended by one."""
    assert pretrain_gpt2.main(words(text, tmp_path / "one")) == 0
    for out, more in (("two", sharded), ("both", [*sharded, "--stop-after", "4"])):
        done = torchrun(2, words(text, tmp_path / out, "--micro", "2", *more))
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count("held-out loss") == (1 if out == "both" else 2)  # said once, not by each
    assert pretrain_gpt2.main(words(text, tmp_path / "both")) == 0
    one, kept = losses(tmp_path / "one")
    for out in ("two", "both"):
        found, kept_too = losses(tmp_path / out)
        np.testing.assert_allclose(found, one, rtol=1e-5)
        for name, tensor in kept.tensors.items():
            if name.startswith("weights/") and tensor.ndim == 2:  # the keys' biases move by rounding errors alone
                torch.testing.assert_close(kept_too.tensors[name], tensor, rtol=1e-3, atol=2e-5)


SHARES = """
import sys
import torch
from minigpt import checkpoint, devices, sample, train
from minigpt.model import GPT, GPTConfig

config = GPTConfig(n_vocab=50, n_ctx=16, n_layers=2, n_heads=2, d_model=16, norm="pre", init="gpt2")
alone, shared = (GPT(config, torch.Generator().manual_seed(0)) for _ in range(2))
ids = torch.randint(50, (4, 16), generator=torch.Generator().manual_seed(1))
batches = [(ids, ids.roll(-1, 1))] * 3
config = train.TrainConfig(n_steps=3, lr=1e-2, accumulate=2)
with devices.joined():
    expected = [record.grad_norm for record in train.train(alone, batches, config)]
    shared, state = devices.sharded(shared), train.TrainState()
    found = [record.grad_norm for record in train.train(shared, batches, config, state=state)]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-5, atol=0)
    here = sum(p.to_local().numel() for p in shared.parameters())
    kept = sum(m["exp_avg"].to_local().numel() for m in state.moments.values())
    assert here == kept <= 0.6 * shared.n_params(), (here, kept, shared.n_params())
    prompt = ids[0, :4]
    texts = [sample.generate(each, prompt, 5, torch.Generator().manual_seed(2)).tolist() for each in (alone, shared)]
    assert texts[0] == texts[1]
    checkpoint.save_state(sys.argv[1], shared, state)
    fresh, again = GPT(alone.config, torch.Generator().manual_seed(3)), train.TrainState()
    if devices.rank() == 0:
        checkpoint.load_state(sys.argv[1], fresh, again)
        for name, tensor in fresh.state_dict().items():
            apart = (tensor - alone.state_dict()[name]).norm() / tensor.norm()  # Adam makes small gradients large, and
            assert apart < 1e-3, (name, apart)  # rounding errors with them: compared as a whole, not number by number
        print("all is well")
"""


@pytest.mark.slow
def test_each_of_two_processes_holds_its_share_and_together_they_are_one_model(tmp_path):
    """Weights and the optimiser's memory; gradients, samples and checkpoints are those of one whole model."""
    (tmp_path / "shares.py").write_text(SHARES)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(tmp_path / "shares.py"), str(tmp_path / "kept")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.stdout.count("all is well") == 1, done.stderr[-3000:]


def workers(of: int) -> dict[int, int]:
    """The processes that torchrun has started: rank -> process id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            variables = (folder / "environ").read_bytes().split(b"\0") if parent == of else []
        except OSError:
            continue
        found |= {int(each[5:]): int(folder.name) for each in variables if each.startswith(b"RANK=")}
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="which process is which is read from /proc")
@pytest.mark.parametrize("killed", [0, 1])
def test_a_process_that_is_lost_is_named_and_the_run_goes_on(tmp_path, text, killed):
    """Loses at most what came after the last checkpoint: nothing, unless it was the process that writes it."""
    long = ["--steps", "5000", "--validate-every", "10"]
    assert pretrain_gpt2.main(words(text, tmp_path / "run", *long, "--stop-after", "3")) == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
               "minigpt.experiments.pretrain_gpt2", *words(text, tmp_path / "run", *long)]  # fmt: skip
    with open(tmp_path / "said", "w") as out, open(tmp_path / "errors", "w") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors, env=os.environ | {"OMP_NUM_THREADS": "1"})
        try:
            end = time.monotonic() + 120
            while "step 10 of" not in (tmp_path / "said").read_text() and time.monotonic() < end:
                time.sleep(0.1)
            os.kill(workers(process.pid)[killed], signal.SIGKILL)
            assert process.wait(timeout=60) != 0
        finally:
            process.kill()
    said = (tmp_path / "said").read_text() + (tmp_path / "errors").read_text()
    named = f"process {1 - killed} of 2 (counted from 0) has lost another one" in said
    assert named or "stopped; the same command goes on" in said, said[-2000:]  # asked to stop before it noticed
    kept = len(losses(tmp_path / "run")[0])
    assert kept == 3 if killed == 0 else kept >= 10
    for out in ("run", "whole"):
        assert pretrain_gpt2.main(words(text, tmp_path / out, *long, "--stop-after", str(kept + 3))) == 0
    found, expected = losses(tmp_path / "run")[0], losses(tmp_path / "whole")[0]
    assert len(found) == kept + 3
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_text_of_another_encoding_is_named(tmp_path):
    (tmp_path / "a.txt").write_bytes("caf\u00e9\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.txt is not UTF-8"):
        list(token_files.text_pieces(tmp_path))


def test_a_damaged_note_beside_the_tokens_means_that_they_are_made_again(tmp_path):
    (tmp_path / "a.txt").write_text("hello\n", encoding="utf-8")
    cut = tokenizer.Tokenizer({bytes([i]): i for i in range(256)})
    place = token_files.write_tokens(tmp_path / "a.txt", cut, tmp_path)
    (tmp_path / "tokens.json").write_text("{broken", encoding="utf-8")
    assert token_files.write_tokens(tmp_path / "a.txt", cut, tmp_path) == place


def test_a_name_with_val_in_it_is_explained(tmp_path):
    np.arange(5000, dtype=np.uint16).tofile(tmp_path / "medieval.bin")
    with pytest.raises(ValueError, match="letters val"):
        token_files.open_tokens(tmp_path / "medieval.bin", 16)
