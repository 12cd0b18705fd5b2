"""The published GPT-2 vocabulary, read from its two files, vocab.json and merges.txt.

The files write every byte as a printable letter; here the letters become bytes again. Floor 1 of the west wing.
"""

import hashlib
import json
import os
import re
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from minigpt.model import GPT, GPTConfig
from minigpt.tokenizer import ENDOFTEXT, Tokenizer


def byte_letters() -> dict[str, int]:
    """The letter that stands for each byte in GPT-2's files -> the byte.

    Printable ones stand for themselves; the others are, in order, the letters from number 256 on.
    Source: the code released with GPT-2 (the paper, section 2.2, says bytes and leaves the letters out).

    >>> letters()["a"], letters()["Ġ"]
    (97, 32)
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """The tokenizer of a published GPT-2: the same ids for every text.

    GPT-2 has one special token, end-of-text, whose id follows the ranks, here as there. The other three of this book's
    tokenizers get ids beyond GPT-2's vocabulary: never feed them to a published model.
    Errors: ValueError if a file is missing or damaged, or if the two do not fit together.
    Source: GPT-2, section 2.2.
    """
    folder = Path(folder)
    vocab, merges = _read_vocabulary(folder / "vocab.json"), _read_vocabulary(folder / "merges.txt")
    try:
        ids = json.loads(vocab)
        as_bytes = byte_letters()
        ranks = {bytes(as_bytes[c] for c in piece): int(i) for piece, i in ids.items() if piece != ENDOFTEXT}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{folder / 'vocab.json'} is not a GPT-2 vocabulary: {error!r}") from None
    lines = [line for line in merges.split("\n") if line and not line.startswith("#version")]
    joined = {"".join(line.split(" ")) for line in lines}
    known = {piece for piece in ids if piece != ENDOFTEXT and len(piece) > 1}
    if joined != known:
        odd = sorted(joined ^ known)[:3]
        raise ValueError(f"merges.txt and vocab.json in {folder} do not fit together: {odd} are in one of them only")
    if ids.get(ENDOFTEXT, len(ranks)) != len(ranks):
        raise ValueError(f"expected {ENDOFTEXT} to be the last token, {len(ranks)}; it is {ids[ENDOFTEXT]}")
    return Tokenizer(ranks, "gpt2")


def _read_vocabulary(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"expected a readable file {path}: {error}") from None


FILES = ("config.json", "vocab.json", "merges.txt", "model.safetensors")
HUB = "https://huggingface.co/openai-community/gpt2/resolve/main"  # the 124M model; other sizes: gpt2-medium, ...


# Our name -> (the published one, whether it is stored the other way round: rows are inputs there, outputs here)
_OUTSIDE = {"W_e.weight": ("wte.weight", False), "W_p.weight": ("wpe.weight", False)}
_OUTSIDE |= {f"ln_f.{part}": (f"ln_f.{part}", False) for part in ("weight", "bias")}
_MATRICES = {"attn.W_qkv": "attn.c_attn", "attn.W_o": "attn.c_proj", "mlp.W_1": "mlp.c_fc", "mlp.W_2": "mlp.c_proj"}
_BUFFER = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)$")  # masks that some files carry along


def names(n_layers: int) -> dict[str, tuple[str, bool]]:
    """Our parameter names -> (published name, whether the matrix is transposed there)."""
    found = dict(_OUTSIDE)
    for i in range(n_layers):
        for part in ("weight", "bias"):
            found |= {f"blocks.{i}.{ln}.{part}": (f"h.{i}.{ln}.{part}", False) for ln in ("ln_1", "ln_2")}
            for ours, theirs in _MATRICES.items():
                found[f"blocks.{i}.{ours}.{part}"] = (f"h.{i}.{theirs}.{part}", part == "weight")
    return found


def config_from(published: dict) -> GPTConfig:
    """Our configuration for a published config.json.

    Errors: ValueError if it is not a GPT-2, or one with an option that this book's model does not have.
    """
    wanted = {"model_type": "gpt2", "activation_function": "gelu_new", "scale_attn_weights": True,
              "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False, "tie_word_embeddings": True}  # fmt: skip
    for key, value in wanted.items():
        if published.get(key, value) != value:
            raise ValueError(f"expected a GPT-2 with {key} = {value!r}; config.json says {published[key]!r}")
    try:
        d, n_inner = published["n_embd"], published.get("n_inner")
        return GPTConfig(
            n_vocab=published["vocab_size"], n_ctx=published["n_positions"], n_layers=published["n_layer"],
            n_heads=published["n_head"], d_model=d, d_ff=n_inner or 4 * d, norm="pre", init="gpt2",
            ln_eps=published.get("layer_norm_epsilon", 1e-5),
        )  # fmt: skip
    except KeyError as error:
        raise ValueError(f"expected the config.json of a GPT-2; it lacks {error}") from None


def load(folder: str | Path) -> GPT:
    """A published GPT-2, ready to read: config.json and model.safetensors of a folder.

    Errors: ValueError for a folder without them, for pickled weights (which can run any code, and are never opened),
    and for a tensor that is missing, unknown or of the wrong shape, by name.
    """
    folder = Path(folder)
    if not (folder / "model.safetensors").exists():
        pickled = [path.name for path in folder.glob("*.bin")]
        also = f" (there is {pickled[0]}, a pickle, which is never opened: it could run any code)" if pickled else ""
        raise ValueError(f"expected model.safetensors in {folder}{also}")
    try:
        published = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "model.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise ValueError(f"the checkpoint in {folder} cannot be read: {error}") from None
    gpt = GPT(config_from(published), torch.Generator())
    gpt.load_state_dict(_renamed(tensors, gpt))
    return gpt.eval()


def _renamed(tensors: dict, gpt: GPT) -> dict:
    """Published tensors under our names, each checked for its shape."""
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    head = tensors.pop("lm_head.weight", None)
    if head is not None and not torch.equal(head, tensors.get("wte.weight", torch.empty(0))):
        raise ValueError("lm_head.weight differs from wte.weight, but GPT-2 uses one matrix for both")
    tensors = {name: tensor for name, tensor in tensors.items() if not _BUFFER.match(name)}
    ours, known = {}, names(gpt.config.n_layers)
    for name, parameter in gpt.state_dict().items():
        theirs, turned = known[name]
        if theirs not in tensors:
            raise ValueError(f"the checkpoint lacks the tensor {theirs}")
        tensor = tensors.pop(theirs)
        tensor = tensor.T if turned else tensor
        if tensor.shape != parameter.shape:
            raise ValueError(
                f"{theirs}: expected {tuple(parameter.shape)}, turned if need be; got {tuple(tensor.shape)}"
            )
        ours[name] = tensor.to(parameter.dtype)
    if tensors:
        raise ValueError(f"the checkpoint has tensors that a GPT-2 does not have: {sorted(tensors)[:3]}")
    return ours


def save(gpt: GPT, folder: str | Path) -> None:
    """Write a model as a published GPT-2, so that other libraries can read it. The folder appears whole or not at all.

    Errors: ValueError for a model that GPT-2's names cannot describe, such as one with LayerNorm after each step;
    FileExistsError if the folder exists.
    """
    c, folder = gpt.config, Path(folder)
    if c.norm != "pre" or not c.causal or c.band or not c.tie_embeddings:
        raise ValueError("expected a causal, dense model with LayerNorm first and one embedding matrix, as GPT-2 is")
    if folder.exists():
        raise FileExistsError(f"{folder} exists already: choose another name or remove it")
    state, tensors = gpt.state_dict(), {}
    for ours, (theirs, turned) in names(c.n_layers).items():
        tensors["transformer." + theirs] = (state[ours].T if turned else state[ours]).contiguous()
    published = {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": c.n_vocab, "n_positions": c.n_ctx,
        "n_embd": c.d_model, "n_layer": c.n_layers, "n_head": c.n_heads, "n_inner": c.d_inner,
        "activation_function": "gelu_new", "layer_norm_epsilon": c.ln_eps, "tie_word_embeddings": True,
    }  # fmt: skip
    beside = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        save_file(tensors, beside / "model.safetensors", metadata={"format": "pt"})
        (beside / "config.json").write_text(json.dumps(published, indent=2) + "\n", encoding="utf-8", newline="\n")
        os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def find(name: str = "gpt2") -> Path | None:
    """The folder of a published model on this computer, or None: the newest whole snapshot in the hub's cache.

    Looks in HF_HUB_CACHE, HF_HOME/hub, ~/.cache/huggingface/hub and our own cache; asks no network.
    """
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    folders = [own_folder(name)]
    for owner in ("openai-community--", ""):
        folders += sorted((hub / f"models--{owner}{name}" / "snapshots").glob("*"), key=lambda p: -p.stat().st_mtime)
    return next((folder for folder in folders if all((folder / file).exists() for file in FILES)), None)


def own_folder(name: str = "gpt2") -> Path:
    """Where `fetch` puts a model: in MINIGPT_CACHE, or else in the home folder's cache."""
    cache = os.environ.get("MINIGPT_CACHE") or Path.home() / ".cache" / "minigpt"
    return Path(cache).expanduser() / "published" / name


@dataclass(frozen=True)
class _Remote:
    """What a server says of a file: how long it is, and the hash of what it should be."""

    n_bytes: int
    kind: str  # "sha256", or "git": the SHA-1 of git for small files
    digest: str


def fetch(
    name: str = "gpt2", url: str = HUB, folder: str | Path | None = None, sha256: dict[str, str] | None = None,
    timeout: float = 30.0, tries: int = 3,
) -> Path:  # fmt: skip
    """Fetch a published GPT-2 (0.5 GB for the smallest), only when the reader asks. Returns its folder.

    A download that was cut goes on where it stopped. Every file is checked: against `sha256` (file name -> hash) where
    it is given, else against the hash that the hub sends along. A file that is there already is not fetched again.

    Unit: timeout in seconds of silence. Errors: ConnectionError without a network (saying what to do, and keeping what
    has arrived); ValueError for a file that is not what it should be (deleted, never used).
    """
    folder = Path(folder) if folder else own_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        for file in FILES:
            if not (folder / file).exists():
                _fetch_file(f"{url}/{file}", folder / file, (sha256 or {}).get(file), timeout, tries)
    return folder


def _fetch_file(url: str, path: Path, sha256: str | None, timeout: float, tries: int) -> None:
    """Download beside the path until complete, check, and only then put the file in its place."""
    part, problem = path.with_name(path.name + ".part"), None
    for _ in range(tries):
        try:
            remote = _ask(url, timeout, sha256)
            _continue(part, url, remote.n_bytes, timeout)
        except (OSError, TimeoutError) as error:  # every URLError is an OSError
            problem = error
            if isinstance(error, urllib.error.HTTPError):
                error.close()
        else:
            if part.stat().st_size == remote.n_bytes:
                break
    else:
        have = part.stat().st_size if part.exists() else 0
        raise ConnectionError(
            f"could not fetch {url}: {problem or 'the connection ended early'}. {have:,} bytes have arrived and are "
            f"kept: ask again when the network is there, and it goes on from them. Or copy the file by hand to {path}"
        ) from problem
    found = _digest(part, remote)
    if found != remote.digest:
        part.unlink()
        raise ValueError(f"{url} is not the file that was expected: hash {found}, expected {remote.digest}. It was "
                         "deleted and not used; ask again")  # fmt: skip
    os.replace(part, path)


class _Stay(urllib.request.HTTPRedirectHandler):
    """The hub's first answer holds the hash; the server it sends us on to does not."""

    def redirect_request(self, *arguments):
        return None


def _ask(url: str, timeout: float, sha256: str | None) -> _Remote:
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "miniGPT textbook"})
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=timeout) as answer:
            headers = answer.headers
    except urllib.error.HTTPError as error:
        headers = error.headers
        error.close()
        if not 300 <= error.code < 400:
            raise
    n_bytes = int(headers.get("X-Linked-Size") or headers.get("Content-Length") or -1)
    tag = (headers.get("X-Linked-ETag") or headers.get("ETag") or "").removeprefix("W/").strip('"')
    if sha256:
        return _Remote(n_bytes, "sha256", sha256)
    if re.fullmatch("[0-9a-f]{64}", tag):
        return _Remote(n_bytes, "sha256", tag)
    if re.fullmatch("[0-9a-f]{40}", tag):
        return _Remote(n_bytes, "git", tag)
    raise ValueError(f"{url}: the server sends no hash to check the file with; pass sha256={{file name: hash}}")


def _continue(part: Path, url: str, n_bytes: int, timeout: float) -> None:
    """Add to the part what is missing, or begin again when the server cannot start in the middle."""
    have = part.stat().st_size if part.exists() else 0
    if have > n_bytes:
        part.unlink()
        have = 0
    if have == n_bytes and part.exists():
        return
    headers = {"User-Agent": "miniGPT textbook"} | ({"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout) as answer:
        with open(part, "ab" if answer.status == 206 else "wb") as file:
            shutil.copyfileobj(answer, file, 1 << 20)


def _digest(path: Path, remote: _Remote) -> str:
    digest = hashlib.sha256() if remote.kind == "sha256" else hashlib.sha1(f"blob {remote.n_bytes}\0".encode())
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
