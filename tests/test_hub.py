"""Published checkpoints: the same numbers as the transformers library, in both directions; downloads that break."""

import hashlib
import http.server
import json
import threading

import pytest
import torch
from safetensors.torch import load_file, save_file

from minigpt import hub, model, sample

transformers = pytest.importorskip("transformers")
SIZES = {"vocab_size": 97, "n_positions": 48, "n_embd": 24, "n_layer": 3, "n_head": 4}


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(5)
    built = transformers.GPT2LMHeadModel(transformers.GPT2Config(**SIZES, bos_token_id=0, eos_token_id=None)).eval()
    with torch.no_grad():
        for parameter in built.parameters():  # larger than at the start, biases and gains too: everything must count
            parameter.add_(0.2 * torch.randn_like(parameter))
    return built


@pytest.fixture
def folder(theirs, tmp_path):
    theirs.save_pretrained(tmp_path / "gpt2", safe_serialization=True)
    return tmp_path / "gpt2"


def test_the_same_logits(theirs, folder):
    ours = hub.load(folder)
    ids = torch.randint(97, (3, 40), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(ours(ids), theirs(ids).logits, atol=1e-4)
    assert ours.n_params() == sum(p.numel() for p in theirs.parameters())


def test_the_same_text_with_and_without_the_cache(theirs, folder):
    ours = hub.load(folder)
    for start in ([1, 2, 3], [50]):
        prompt = torch.tensor([start])
        wanted = theirs.generate(prompt, max_new_tokens=30, do_sample=False, use_cache=True, pad_token_id=0)
        for use_cache in (True, False):
            assert torch.equal(sample.generate(ours, prompt, 30, temperature=0, use_cache=use_cache), wanted)


def test_saved_by_us_and_read_by_them(tmp_path):
    config = model.GPTConfig(n_vocab=61, n_ctx=20, n_layers=2, n_heads=2, d_model=16, norm="pre", init_std=0.3)
    ours = model.GPT(config, torch.Generator().manual_seed(2)).eval()
    hub.save(ours, tmp_path / "mine")
    theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "mine").eval()
    ids = torch.arange(20)[None]
    with torch.no_grad():
        assert torch.allclose(theirs(ids).logits, ours(ids), atol=1e-4)
        assert torch.equal(hub.load(tmp_path / "mine")(ids), ours(ids))
    with pytest.raises(FileExistsError, match="exists already"):
        hub.save(ours, tmp_path / "mine")
    post = model.GPT(model.GPTConfig(n_vocab=9, n_ctx=4, n_layers=1, n_heads=1, d_model=8), torch.Generator())
    with pytest.raises(ValueError, match="LayerNorm first"):
        hub.save(post, tmp_path / "post")


def test_the_smallest_published_model_has_its_number_of_parameters():
    config = hub.config_from(transformers.GPT2Config().to_dict())
    assert model.count_params(config) == 124_439_808


def test_masks_and_the_tied_head_may_be_in_the_file(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    tensors["h.0.attn.bias"] = torch.ones(1, 1, 4, 4)
    tensors["lm_head.weight"] = tensors["wte.weight"].clone()
    before = hub.load(folder)
    save_file(tensors, folder / "model.safetensors")
    ids = torch.arange(5)[None]
    assert torch.equal(hub.load(folder)(ids), before(ids))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("transformer.h.1.mlp.c_fc.bias"), "lacks the tensor h.1.mlp.c_fc.bias"),
        (lambda t: t.update({"transformer.h.9.extra": torch.ones(1)}), "does not have: .*h.9.extra"),
        (lambda t: t.update({"transformer.wpe.weight": torch.ones(3, 24)}), r"wpe.weight: expected \(48, 24\)"),
        (lambda t: t.update({"lm_head.weight": torch.ones(97, 24)}), "one matrix for both"),
    ],
)
def test_wrong_tensors_are_named(folder, change, message):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ValueError, match=message):
        hub.load(folder)


def test_other_models_and_pickles_are_refused(folder, tmp_path):
    config = json.loads((folder / "config.json").read_text())
    for key, value in (("model_type", "bert"), ("activation_function", "relu")):
        with pytest.raises(ValueError, match=f"with {key} = "):
            hub.config_from(config | {key: value})
    with pytest.raises(ValueError, match="lacks 'n_embd'"):
        hub.config_from({"vocab_size": 3})
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match="never opened"):
        hub.load(tmp_path / "pickled")
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="cannot be read"):
        hub.load(folder)


def test_find_looks_into_the_hubs_cache(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path / "own"))
    assert hub.find() is None
    snapshot = tmp_path / "hub" / "models--openai-community--gpt2" / "snapshots" / "abc"
    snapshot.parent.mkdir(parents=True)
    folder.rename(snapshot)
    assert hub.find() is None  # not whole: no vocabulary
    for name in ("vocab.json", "merges.txt"):
        (snapshot / name).write_text("")
    assert hub.find() == snapshot


# --- a server that behaves badly --------------------------------------------------------------------------------------

CONTENT = {name: f"{name} ".encode() * 3000 for name in hub.FILES}


class Handler(http.server.BaseHTTPRequestHandler):
    broken = 0  # so many answers stop half way
    lie = False
    asked: list = []

    def do_HEAD(self):
        name = self.path.rsplit("/", 1)[1]
        if name == "model.safetensors":  # as the hub does: the hash is in the first answer, the file elsewhere
            self.send_response(302)
            self.send_header("Location", "/elsewhere/model.safetensors")
            self.send_header("X-Linked-ETag", f'"{hashlib.sha256(CONTENT[name]).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(CONTENT[name])))
        else:
            blob = b"blob %d\0" % len(CONTENT[name]) + CONTENT[name]
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha1(blob).hexdigest()}"')
            self.send_header("Content-Length", str(len(CONTENT[name])))
        self.end_headers()

    def do_GET(self):
        name = self.path.rsplit("/", 1)[1]
        content = bytes(reversed(CONTENT[name])) if Handler.lie else CONTENT[name]
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        Handler.asked.append((name, start))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if Handler.broken > 0:
            Handler.broken -= 1
            self.wfile.write(content[start : start + 5000])
        else:
            self.wfile.write(content[start:])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    Handler.broken, Handler.lie, Handler.asked = 0, False, []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}/resolve"
        running.shutdown()


def test_fetch_brings_every_file_once(server, tmp_path):
    folder = hub.fetch(url=server, folder=tmp_path / "gpt2")
    assert {name: (folder / name).read_bytes() for name in hub.FILES} == CONTENT
    hub.fetch(url=server, folder=folder)
    assert [name for name, _ in Handler.asked] == list(hub.FILES)


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    Handler.broken = 2
    folder = hub.fetch(url=server, folder=tmp_path)
    assert (folder / "config.json").read_bytes() == CONTENT["config.json"]
    assert Handler.asked[:3] == [("config.json", 0), ("config.json", 5000), ("config.json", 10000)]


def test_what_has_arrived_is_kept_when_the_network_goes(server, tmp_path):
    Handler.broken = 1
    with pytest.raises(ConnectionError, match="5,000 bytes have arrived"):
        hub.fetch(url=server, folder=tmp_path, tries=1)
    with pytest.raises(ConnectionError, match="could not fetch"):
        hub.fetch(url="http://127.0.0.1:9/nobody", folder=tmp_path, tries=1, timeout=1)
    assert (tmp_path / "config.json.part").stat().st_size == 5000
    hub.fetch(url=server, folder=tmp_path)
    assert ("config.json", 5000) in Handler.asked


def test_a_wrong_file_is_never_used(server, tmp_path):
    Handler.lie = True
    with pytest.raises(ValueError, match="is not the file that was expected"):
        hub.fetch(url=server, folder=tmp_path)
    assert not (tmp_path / "config.json").exists() and not (tmp_path / "config.json.part").exists()
    Handler.lie = False
    with pytest.raises(ValueError, match="expected 00"):
        hub.fetch(url=server, folder=tmp_path, sha256={"config.json": "00" * 32})
