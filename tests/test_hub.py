"""Published checkpoints: the same numbers as the transformers library, in both directions; downloads that break."""

import dataclasses
import hashlib
import http.server
import json
import os
import subprocess
import sys
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
    scaled = model.GPT(dataclasses.replace(config, embedding_scale=4.0), torch.Generator())
    with pytest.raises(ValueError, match="embeddings that are not scaled"):
        hub.save(scaled, tmp_path / "scaled")


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["transformer.wte.weight"].view(-1)[7:8].fill_(float("nan")), "wte.weight: expected finite"),
        (
            lambda t: t.update({"transformer.ln_f.bias": torch.ones(24, dtype=torch.int8)}),
            "ln_f.bias: .* got torch.int8",
        ),
    ],
)
def test_numbers_without_sense_are_refused(folder, change, message):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ValueError, match=message):
        hub.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_layer": 10**8}, "lacks the tensor h.3.ln_1.weight: config.json says 100000000 layers"),
        ({"n_layer": 2.5}, "n_layer to be a whole number"),
        ({"n_inner": 10**9}, r"mlp.c_fc.weight: expected \(24, 1000000000\)"),
        ({"vocab_size": 96}, r"wte.weight: expected \(96, 24\), got \(97, 24\)"),
        ({"n_layer": 2}, "does not have"),
        (None, "a dictionary; got list"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused_before_anything_is_built(folder, change, message):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps([1] if change is None else config | change))
    with pytest.raises(ValueError, match=message):
        hub.load(folder)


def test_half_precision_shards_and_the_other_name_of_gelu(theirs, folder, tmp_path):
    wanted = hub.load(folder)
    config = json.loads((folder / "config.json").read_text())
    assert hub.config_from(config | {"activation_function": "gelu_pytorch_tanh"}) == hub.config_from(config)
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    ids = torch.arange(40)[None]
    assert torch.equal(hub.load(tmp_path / "shards")(ids), wanted(ids))
    (tmp_path / "shards" / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../x.safetensors"}}')
    with pytest.raises(ValueError, match="names of .safetensors files"):
        hub.load(tmp_path / "shards")
    tensors = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors")
    assert torch.allclose(hub.load(folder)(ids), wanted(ids), atol=0.05)


def test_saving_deletes_nothing_and_leaves_nothing_half_done(tmp_path, monkeypatch):
    config = model.GPTConfig(n_vocab=61, n_ctx=20, n_layers=1, n_heads=2, d_model=16, norm="pre")
    ours = model.GPT(config, torch.Generator().manual_seed(2))
    (tmp_path / "mine.tmp").mkdir()
    (tmp_path / "mine.tmp" / "notes").write_text("x")
    hub.save(ours, tmp_path / "mine")
    assert (tmp_path / "mine.tmp" / "notes").read_text() == "x"
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["config.json", "model.safetensors"]

    def full(*args):
        raise OSError(28, "No space left on device")

    for call in ("fsync", "replace"):
        monkeypatch.setattr(hub.os, call, full)
        with pytest.raises(OSError, match="the disk is full"):
            hub.save(ours, tmp_path / "new" / "other")
        monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine.tmp"]


# --- on this computer -------------------------------------------------------------------------------------------------

PLACES = [
    {"HF_HUB_CACHE": "{}/a"},
    {"HUGGINGFACE_HUB_CACHE": "{}/b"},
    {"HF_HOME": "{}/c"},
    {"HF_HOME": "~/c"},
    {"XDG_CACHE_HOME": "{}/d"},
    {},
    {"HF_HOME": "{}/c", "HUGGINGFACE_HUB_CACHE": "~/b", "XDG_CACHE_HOME": "{}/d"},
    {"HF_HUB_CACHE": "$HOME/a", "HUGGINGFACE_HUB_CACHE": "{}/b"},
]


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A home folder of its own, and none of the variables."""
    for name in ("MINIGPT_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path


@pytest.mark.parametrize("places", PLACES)
def test_the_same_place_as_huggingface_hub(alone, monkeypatch, places):
    for name, value in places.items():
        monkeypatch.setenv(name, value.format(alone))
    code = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert str(hub.hub_cache()) == said.stdout.strip()


def write_gpt2(folder, n_layer, n_embd):
    folder.mkdir(parents=True)
    sizes = {"vocab_size": 9, "n_positions": 8, "n_embd": n_embd, "n_layer": n_layer, "n_head": 1}
    (folder / "config.json").write_text(json.dumps(sizes))
    for name in hub.FILES[1:]:
        (folder / name).write_text("x")


def test_find_takes_only_whole_folders_with_the_configuration_of_the_name(alone):
    assert hub.find() is None
    snapshots = alone / ".cache" / "huggingface" / "hub" / "models--openai-community--gpt2-medium" / "snapshots"
    write_gpt2(snapshots / "abc", 12, 768)  # the files of gpt2 under the name gpt2-medium
    with pytest.warns(UserWarning, match="expected gpt2-medium with 24 layers .* says 12 layers"):
        assert hub.find("gpt2-medium") is None
    write_gpt2(snapshots / "def", 24, 1024)
    assert hub.find("gpt2-medium") == snapshots / "def"  # and no warning: what is damaged is not needed
    (snapshots / "def" / "vocab.json").unlink()
    with pytest.warns(UserWarning) as told:
        assert hub.find("gpt2-medium") is None
    assert sorted(str(each.message).split(" is not used: ")[0] for each in told) == [
        str(snapshots / "abc"), str(snapshots / "def")
    ]  # fmt: skip
    assert {"expected vocab.json", "expected gpt2-medium with 24 layers of width 1024; the config.json"} == {
        str(each.message).split(" is not used: ")[1].split(" in ")[0] for each in told
    }
    (snapshots / "def" / "tokenizer.json").write_text("x")
    assert hub.find("gpt2-medium") == snapshots / "def"
    own = alone / ".cache" / "minigpt" / "published" / "gpt2-medium"
    write_gpt2(own, 24, 1024)
    assert hub.find("gpt2-medium") == own


@pytest.mark.parametrize(("file", "content", "words"), [
    ("model.safetensors", None, "expected model.safetensors in"),
    ("merges.txt", None, "expected merges.txt in"),
    ("config.json", None, "No such file"),
    ("config.json", "{", "is not the config.json of a GPT-2"),
    ("config.json", "[]", "expected the config.json of a GPT-2"),
])  # fmt: skip
def test_find_says_which_folder_is_damaged_and_how(alone, file, content, words):
    own = alone / ".cache" / "minigpt" / "published" / "gpt2"
    write_gpt2(own, 12, 768)
    assert hub.find() == own
    (own / file).unlink() if content is None else (own / file).write_text(content)
    with pytest.warns(UserWarning, match=words) as told:
        assert hub.find() is None
    assert str(told[0].message).startswith(f"{own} is not used: ") and "fetch('gpt2')" in str(told[0].message)


def test_find_says_which_part_of_the_weights_is_missing(alone):
    own = alone / ".cache" / "minigpt" / "published" / "gpt2"
    write_gpt2(own, 12, 768)
    (own / "model.safetensors").rename(own / "model-1.safetensors")
    parts = {"wte.weight": "model-1.safetensors", "wpe.weight": "model-2.safetensors"}
    (own / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    with pytest.warns(UserWarning, match=r"expected model-2\.safetensors in"):
        assert hub.find() is None
    (own / "model-2.safetensors").write_text("x")
    assert hub.find() == own


@pytest.mark.parametrize("name", ["../../x", "/abs", "", ".", "..", "a/b", "a\\b", "a" * 200, None, "gpt2\n"])
def test_names_that_leave_the_folder_are_refused(alone, name):
    for use in (hub.find, hub.fetch, lambda name: hub.fetch(name, url="http://127.0.0.1:9/x")):
        with pytest.raises(ValueError, match="expected the name of a model"):
            use(name)
    assert list(alone.iterdir()) == []


def test_a_name_without_an_address_is_refused(alone):
    with pytest.raises(
        ValueError, match="expected a name among .*'gpt2-medium'.* or the url of the folder of 'my-gpt'"
    ):
        hub.fetch("my-gpt")


@pytest.mark.parametrize("kind", ["sha256", "git"])
def test_a_flipped_bit_in_the_hubs_cache_is_noticed(folder, kind):
    """Files there are links to blobs that are named by their checksums."""
    data = (folder / "model.safetensors").read_bytes()
    start = hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % len(data))
    start.update(data)
    blob = folder.parent / start.hexdigest()
    (folder / "model.safetensors").rename(blob)
    (folder / "model.safetensors").symlink_to(blob)
    hub.load(folder)
    blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ValueError, match="model.safetensors has changed since it was fetched"):
        hub.load(folder)


# --- a server that behaves badly --------------------------------------------------------------------------------------

CONTENT = {name: f"{name} ".encode() * 3000 for name in hub.FILES}
MEDIUM = json.dumps({"vocab_size": 9, "n_positions": 8, "n_embd": 1024, "n_layer": 24, "n_head": 1}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    content: dict = {}
    broken = 0  # so many answers stop half way
    lie = False
    asked: list = []

    def do_GET(self):
        name = self.path.rsplit("/", 1)[1]
        right = Handler.content[name]
        content = bytes(reversed(right)) if Handler.lie else right
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        elsewhere = self.path.startswith("/elsewhere")
        Handler.asked.append((self.path if elsewhere else name, start))
        if name == "model.safetensors" and not elsewhere:  # as the hub does: the hash here, the file elsewhere
            self.send_response(302)
            self.send_header("Location", "/elsewhere/model.safetensors")
            self.send_header("X-Linked-ETag", f'"{hashlib.sha256(right).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(right)))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if not elsewhere:
            blob = b"blob %d\0" % len(right) + right
            self.send_header("ETag", f'"{hashlib.sha1(blob).hexdigest()}"')
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
def server(alone):
    Handler.broken, Handler.lie, Handler.asked, Handler.content = 0, False, [], dict(CONTENT)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}/resolve"
        running.shutdown()


def test_fetch_brings_every_file_once(server, alone):
    folder = hub.fetch("tiny", url=server)
    assert folder == alone / ".cache" / "minigpt" / "published" / "tiny"
    assert {name: (folder / name).read_bytes() for name in hub.FILES} == CONTENT
    assert hub.fetch("tiny", url=server + "/", folder=folder) == folder
    names = [name for name, _ in Handler.asked]
    assert names == [*hub.FILES[:3], "model.safetensors", "/elsewhere/model.safetensors"]


def test_what_lies_on_the_disk_is_checked_again(server, tmp_path):
    folder = hub.fetch("tiny", url=server, folder=tmp_path / "tiny")
    data = CONTENT["vocab.json"]
    (folder / "vocab.json").write_bytes(b"V" + data[1:])
    for use in (lambda: hub.fetch("tiny", url=server, folder=folder), lambda: hub.load_tokenizer(folder)):
        with pytest.raises(ValueError, match="vocab.json has changed since it was fetched"):
            use()


def test_the_named_model_or_a_refusal(server, alone, monkeypatch):
    """fetch("gpt2-medium") asks for gpt2-medium, at the mirror of HF_ENDPOINT, and looks at what came."""
    asked = []

    def spy(url, path, **options):
        asked.append(url)
        return real(url.replace("https://mirror.example", server.removesuffix("/resolve")), path, **options)

    real = hub.download
    monkeypatch.setattr(hub, "download", spy)
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    Handler.content["config.json"] = MEDIUM
    folder = hub.fetch("gpt2-medium")
    assert asked == [f"https://mirror.example/openai-community/gpt2-medium/resolve/main/{file}" for file in hub.FILES]
    assert folder.name == "gpt2-medium" and hub.find("gpt2-medium") == folder and hub.find("gpt2") is None
    with pytest.raises(ValueError, match="expected gpt2 with 12 layers of width 768; .* says 24 layers of width 1024"):
        hub.fetch("gpt2")
    with pytest.warns(UserWarning, match="expected vocab.json"):
        assert hub.find("gpt2") is None
    assert len(asked) == 5  # the weights were not asked for
    monkeypatch.delenv("HF_ENDPOINT")
    monkeypatch.setattr(hub, "download", lambda url, path, **options: asked.append(url) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        hub.fetch("gpt2-xl")
    assert asked[-1] == "https://huggingface.co/openai-community/gpt2-xl/resolve/main/config.json"


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    Handler.broken = 2
    folder = hub.fetch("tiny", url=server, folder=tmp_path / "a")
    assert (folder / "config.json").read_bytes() == CONTENT["config.json"]
    assert Handler.asked[:3] == [("config.json", 0), ("config.json", 5000), ("config.json", 10000)]


def test_what_has_arrived_is_kept_when_the_network_goes(server, tmp_path):
    Handler.broken = 1
    with pytest.raises(ConnectionError, match="5,000 bytes have arrived"):
        hub.fetch("tiny", url=server, folder=tmp_path, tries=1)
    with pytest.raises(ConnectionError, match="could not fetch"):
        hub.fetch("tiny", url="http://127.0.0.1:9/closed", folder=tmp_path, tries=1, timeout=1)
    assert (tmp_path / "config.json.part").stat().st_size == 5000
    hub.fetch("tiny", url=server, folder=tmp_path)
    assert ("config.json", 5000) in Handler.asked


def test_a_wrong_file_is_never_used(server, tmp_path):
    Handler.lie = True
    with pytest.raises(ValueError, match="is not the file that was expected"):
        hub.fetch("tiny", url=server, folder=tmp_path)
    assert not (tmp_path / "config.json").exists() and not (tmp_path / "config.json.part").exists()
    Handler.lie = False
    with pytest.raises(ValueError, match="expected sha256 00"):
        hub.fetch("tiny", url=server, folder=tmp_path, sha256={"config.json": "00" * 32})


@pytest.mark.parametrize("index", ["[]", "3", '{"weight_map": []}'])
def test_an_index_of_shards_that_is_no_dictionary(index, tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    with pytest.raises(ValueError, match="weight_map"):
        hub.load(tmp_path)
