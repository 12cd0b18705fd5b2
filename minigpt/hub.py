"""GPT-2 from the hub: published weights and vocabulary, found, fetched, loaded and saved in the published form.

folder = find() or fetch()              config.json, vocab.json, merges.txt, model.safetensors
gpt, tokenizer = load(folder), load_tokenizer(folder)
"""

import contextlib
import hashlib
import json
import os
import re
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from minigpt.io import files
from minigpt.io.checks import whole
from minigpt.io.download import download, only_one
from minigpt.model import GPT, GPTConfig
from minigpt.tokenizer import ENDOFTEXT, Tokenizer

FILES = ("config.json", "vocab.json", "merges.txt", "model.safetensors")
SIZES = {"gpt2": (12, 768), "gpt2-medium": (24, 1024), "gpt2-large": (36, 1280), "gpt2-xl": (48, 1600)}  # layers, width
OWNER = "openai-community"  # who publishes these four
CHECKSUMS = "minigpt-checksums.json"  # file -> SHA-256, written by fetch beside what it fetched


# --- names and configuration ------------------------------------------------------------------------------------------

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
    if not isinstance(published, dict):
        raise ValueError(f"expected the config.json of a GPT-2, a dictionary; got {type(published).__name__}")
    wanted = {"model_type": ("gpt2",), "activation_function": ("gelu_new", "gelu_pytorch_tanh"),  # one formula
              "scale_attn_weights": (True,), "scale_attn_by_inverse_layer_idx": (False,),
              "add_cross_attention": (False,), "tie_word_embeddings": (True,)}  # fmt: skip
    for key, values in wanted.items():
        if published.get(key, values[0]) not in values:
            raise ValueError(f"expected a GPT-2 with {key} = {values[0]!r}; config.json says {published[key]!r}")
    try:
        sizes = {
            key: whole(published[key], key, 1) for key in ("n_embd", "vocab_size", "n_positions", "n_layer", "n_head")
        }
    except KeyError as error:
        raise ValueError(f"expected the config.json of a GPT-2; it lacks {error}") from None
    d, n_inner = sizes["n_embd"], published.get("n_inner")
    return GPTConfig(
        n_vocab=sizes["vocab_size"], n_ctx=sizes["n_positions"], n_layers=sizes["n_layer"], n_heads=sizes["n_head"],
        d_model=d, d_ff=4 * d if n_inner is None else whole(n_inner, "n_inner", 1), norm="pre", init="gpt2",
        ln_eps=published.get("layer_norm_epsilon", 1e-5),
    )  # fmt: skip


def _shapes(c: GPTConfig) -> dict[str, tuple[int, ...]]:
    """Published names -> shapes, from a configuration alone: nothing is built before the file is known to fit."""
    d, d_ff = c.d_model, c.d_inner
    found = {"wte.weight": (c.n_vocab, d), "wpe.weight": (c.n_ctx, d), "ln_f.weight": (d,), "ln_f.bias": (d,)}
    block = {"ln_1": (d,), "ln_2": (d,), "attn.c_attn": (d, 3 * d), "attn.c_proj": (d, d), "mlp.c_fc": (d, d_ff),
             "mlp.c_proj": (d_ff, d)}  # fmt: skip
    for i in range(c.n_layers):
        for name, shape in block.items():
            found |= {f"h.{i}.{name}.weight": shape, f"h.{i}.{name}.bias": shape[-1:]}
    return found


# --- weights ----------------------------------------------------------------------------------------------------------


def load(folder: str | Path) -> GPT:
    """Pretrained GPT-2 in evaluation mode, from config.json and model.safetensors (or its shards) of a folder.

    Every file that has a stored checksum (of `fetch`, or in the hub's own cache) is compared with it.
    Errors: ValueError for a folder without them, for pickled weights (which can run any code, and are never opened),
    for a changed file, and for a tensor that is missing, unknown, not finite, or of the wrong kind or shape, by name.
    """
    folder = files.reader_path(folder, "the folder of a published model")
    try:
        tensors, names_of_files = {}, _weight_files(folder)
        config = config_from(json.loads(_checked(folder / "config.json").read_text(encoding="utf-8")))
        for name in names_of_files:
            tensors |= load_file(_checked(folder / name))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError, SafetensorError) as error:
        raise ValueError(f"the checkpoint in {folder} cannot be read: {error}") from None
    tensors = _sensible(tensors, config)
    gpt = GPT(config, torch.Generator())
    state = {
        ours: tensors[theirs].T if turned else tensors[theirs]
        for ours, (theirs, turned) in names(config.n_layers).items()
    }
    gpt.load_state_dict({name: tensor.to(torch.float32) for name, tensor in state.items()})
    return gpt.eval()


def _weight_files(folder: Path) -> list[str]:
    """model.safetensors, or the shards that model.safetensors.index.json names."""
    if (folder / "model.safetensors").exists():
        return ["model.safetensors"]
    index = folder / "model.safetensors.index.json"
    if index.exists():
        found = json.loads(_checked(index).read_text(encoding="utf-8"))
        weight_map = found.get("weight_map") if isinstance(found, dict) else None
        shards = list(weight_map.values()) if isinstance(weight_map, dict) else []
        if not shards or not all(
            isinstance(name, str) and re.fullmatch(r"[\w-]+\.safetensors", name) for name in shards
        ):
            raise ValueError(f"expected a weight_map with names of .safetensors files in {index}")
        return sorted(set(shards))
    pickled = [path.name for path in folder.glob("*.bin")]
    also = f" (there is {pickled[0]}, a pickle, which is never opened: it could run any code)" if pickled else ""
    raise ValueError(f"expected model.safetensors in {folder}{also}")


def _sensible(tensors: dict, config: GPTConfig) -> dict:
    """Published tensors, each checked for name, shape, kind and finite numbers; masks and the tied head left out."""
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    head = tensors.pop("lm_head.weight", None)
    if head is not None and not torch.equal(head, tensors.get("wte.weight", torch.empty(0))):
        raise ValueError("lm_head.weight differs from wte.weight, but GPT-2 uses one matrix for both")
    tensors = {name: tensor for name, tensor in tensors.items() if not _BUFFER.match(name)}
    n_layers = len({name.split(".")[1] for name in tensors if re.match(r"h\.\d+\.", name)})
    if config.n_layers > n_layers:  # said before shapes of 10**8 layers are listed
        raise ValueError(
            f"the checkpoint lacks the tensor h.{n_layers}.ln_1.weight: config.json says {config.n_layers} layers"
        )
    shapes = _shapes(config)
    for name, shape in shapes.items():
        if name not in tensors:
            raise ValueError(f"the checkpoint lacks the tensor {name}")
        if tensors[name].shape != shape:
            raise ValueError(f"{name}: expected {shape}, got {tuple(tensors[name].shape)}")
        if not tensors[name].is_floating_point() or not tensors[name].isfinite().all():
            raise ValueError(
                f"{name}: expected finite decimal numbers, got {tensors[name].dtype} or numbers that are none"
            )
    unknown = sorted(tensors.keys() - shapes.keys())
    if unknown:
        raise ValueError(f"the checkpoint has tensors that a GPT-2 does not have: {unknown[:3]}")
    return tensors


def save(gpt: GPT, folder: str | Path) -> None:
    """Save a model as a published GPT-2, so that other libraries can load it. The folder appears whole or not at all.

    Errors: ValueError for a model that GPT-2's names cannot describe, such as one with LayerNorm after each step;
    FileExistsError if the folder exists; OSError if it cannot be written.
    """
    c, folder = gpt.config, files.reader_path(folder, "a folder for the model")
    if c.norm != "pre" or not c.causal or c.band or not c.tie_embeddings or c.embedding_scale != 1:
        raise ValueError(
            "expected a causal, dense model with LayerNorm first, one embedding matrix and embeddings that are not "
            "scaled, as GPT-2 is"
        )
    if folder.exists():
        raise FileExistsError(f"{folder} exists already: choose another name or remove it")
    state, tensors = gpt.state_dict(), {}
    for ours, (theirs, turned) in names(c.n_layers).items():
        tensors["transformer." + theirs] = (state[ours].T if turned else state[ours]).cpu().contiguous()
    published = {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": c.n_vocab, "n_positions": c.n_ctx,
        "n_embd": c.d_model, "n_layer": c.n_layers, "n_head": c.n_heads, "n_inner": c.d_inner,
        "activation_function": "gelu_new", "layer_norm_epsilon": c.ln_eps, "tie_word_embeddings": True,
    }  # fmt: skip
    with files.explained(folder), files.new_folders(folder.parent):
        beside = files.unused_name(folder.parent)
        beside.mkdir()
        try:
            save_file(tensors, beside / "model.safetensors", metadata={"format": "pt"})
            files.write_file(beside / "config.json", (json.dumps(published, indent=2) + "\n").encode())
            os.replace(beside, folder)
        except BaseException:
            with contextlib.suppress(OSError):
                for path in [*beside.iterdir(), beside]:
                    path.rmdir() if path == beside else path.unlink()
            raise


# --- vocabulary -------------------------------------------------------------------------------------------------------


def byte_letters() -> dict[str, int]:
    """Byte alphabet of GPT-2's vocabulary files: the letter that stands for each byte -> the byte.

    Printable ones stand for themselves; the others are, in order, the letters from number 256 on.
    Source: the code released with GPT-2 (the paper, section 2.2, says bytes and leaves the letters out).

    >>> byte_letters()["a"], byte_letters()["Ġ"]
    (97, 32)
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Tokenizer of a published GPT-2, from vocab.json and merges.txt, or tokenizer.json: the same ids for every text.

    GPT-2 has one special token, end-of-text, whose id follows the ranks, here as there. The other three of this book's
    tokenizers get ids beyond GPT-2's vocabulary: never feed them to a published model.
    Errors: ValueError if a file is missing or damaged, or if the merges, in their order, are not those of the ids.
    Source: GPT-2, section 2.2.
    """
    folder = files.reader_path(folder, "the folder of a published model")
    ids, merges, source = _vocabulary(folder)
    end = ids.pop(ENDOFTEXT, len(ids))
    letters = byte_letters()
    wanted = {letter: None for letter in letters} | {a + b: (a, b) for a, b in merges}
    odd = sorted(wanted.keys() ^ ids.keys())[:3]
    if odd or len(wanted) != 256 + len(merges):
        raise ValueError(
            f"merges and vocabulary in {folder} do not fit: {odd} are in one of them only, or twice"
        )
    order = [ids[a + b] for a, b in merges]
    early = [a + b for a, b in merges if max(ids.get(a, end), ids.get(b, end)) >= ids[a + b]]
    if early or order != sorted(order) or sorted(ids.values()) != list(range(len(ids))):
        raise ValueError(
            f"merges and vocabulary in {folder} do not fit together: the order of the merges is not that of the ids"
        )
    if end != len(ids):
        raise ValueError(f"expected {ENDOFTEXT} to be the last token, {len(ids)}; it is {end}")
    try:
        return Tokenizer({bytes(letters[c] for c in piece): i for piece, i in ids.items()}, "gpt2")
    except KeyError as error:
        raise ValueError(f"{source} is not a GPT-2 vocabulary: {error} stands for no byte") from None


def _vocabulary(folder: Path) -> tuple[dict[str, int], list[tuple[str, str]], Path]:
    """(token -> id, merges in their order, the file of the ids), from two files or from tokenizer.json alone."""
    alone = not (folder / "vocab.json").exists() and (folder / "tokenizer.json").exists()
    source = folder / ("tokenizer.json" if alone else "vocab.json")
    try:
        found = json.loads(_checked(source).read_text(encoding="utf-8"))
        if alone:
            ids = dict(found["model"]["vocab"])
            ids |= {
                each["content"]: each["id"] for each in found.get("added_tokens", []) if each["content"] == ENDOFTEXT
            }
            pairs = [tuple(each.split(" ") if isinstance(each, str) else each) for each in found["model"]["merges"]]
        else:
            ids = found
            lines = _checked(folder / "merges.txt").read_text(encoding="utf-8").split("\n")
            pairs = [tuple(line.split(" ")) for n, line in enumerate(lines) if line and not (n == 0 and line[0] == "#")]
        if not ids or not all(type(i) is int for i in ids.values()) or not all(len(pair) == 2 for pair in pairs):
            raise ValueError("expected tokens with whole numbers, and merges of two tokens")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"expected a readable file of a vocabulary in {folder}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, ValueError) and "has changed" in str(error):
            raise
        raise ValueError(f"{source} is not a GPT-2 vocabulary: {error!r}") from None
    return ids, pairs, source


# --- on this computer, and from the hub -------------------------------------------------------------------------------


def find(name: str = "gpt2") -> Path | None:
    """The folder of a published model on this computer, or None: ours, or the newest whole snapshot in the hub's cache.

    Looks where huggingface_hub does: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub,
    ~/.cache/huggingface/hub. Asks no network. If no folder is whole, a UserWarning says what each one lacks.
    Errors: ValueError for a name that is none.
    """
    folders = [each / "published" / _named(name) for each in files.cache_dirs()]
    hub = hub_cache()
    for repository in (f"models--{OWNER}--{name}", f"models--{name}"):
        with contextlib.suppress(OSError):  # a folder that may not be read
            if hub is not None:
                folders += sorted((hub / repository / "snapshots").iterdir(), key=lambda path: -path.stat().st_mtime)
    damage = []
    for folder in folders:
        wrong = _damage(folder, name)
        if wrong is None:
            return folder
        damage += [(folder, wrong)] if folder.exists() else []
    for folder, wrong in damage:
        told = f"{folder} is not used: {wrong}. For a whole one, remove it and call fetch({name!r})"
        warnings.warn(told, UserWarning, stacklevel=2)
    return None


def hub_cache() -> Path | None:
    """Where huggingface_hub keeps what it has fetched; None without a home folder."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return Path(os.path.expandvars(os.path.expanduser(os.environ[variable])))
    base = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    base = os.path.expandvars(os.path.expanduser(base))
    return None if base.startswith("~") else Path(base) / "hub"


def _damage(folder: Path, name: str) -> str | None:
    """What keeps a folder from being the whole published model of this name; None if nothing does."""
    try:
        if not (folder / "tokenizer.json").is_file():
            for file in ("vocab.json", "merges.txt"):
                if not (folder / file).is_file():
                    return f"expected {file} in {folder}"
        missing = [file for file in _weight_files(folder) if not (folder / file).is_file()]
        if missing:
            return f"expected {missing[0]} in {folder}"
        if name in SIZES:
            _check_size(folder, name)
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _check_size(folder: Path, name: str) -> None:
    """Errors: ValueError unless config.json is that of the published model of this name."""
    try:
        config = config_from(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{folder / 'config.json'} is not the config.json of a GPT-2: {error}") from None
    if (config.n_layers, config.d_model) != SIZES[name]:
        raise ValueError(
            f"expected {name} with {SIZES[name][0]} layers of width {SIZES[name][1]}; the config.json in {folder} "
            f"says {config.n_layers} layers of width {config.d_model}"
        )


def _named(name: str) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}", name):
        raise ValueError(f"expected the name of a model, such as 'gpt2-medium' (letters, digits, - _ .); got {name!r}")
    return name


def fetch(
    name: str = "gpt2", url: str | None = None, folder: str | Path | None = None, sha256: dict[str, str] | None = None,
    timeout: float = 30.0, tries: int = 3,
) -> Path:  # fmt: skip
    """Fetch a published GPT-2 (0.5 GB for the smallest), only when the reader asks. Returns its folder.

    gpt2, gpt2-medium, gpt2-large and gpt2-xl come from the hub, or from the mirror in HF_ENDPOINT; another name needs
    the `url` of its folder. A download that was cut goes on where it stopped. Every file is checked: against `sha256`
    (file name -> hash) where it is given, else against the hash that the hub sends; the hashes are kept for `load`. A
    file that is there already is not fetched again.

    Unit: timeout in seconds of silence. Errors: ConnectionError without a network (saying what to do, and keeping what
    has arrived); ValueError for an unknown name, or a file that is not what it should be; OSError for a full disk.
    """
    tries = whole(tries, "tries", 1)
    if _named(name) not in SIZES and url is None:
        raise ValueError(f"expected a name among {sorted(SIZES)}, or the url of the folder of {name!r}")
    endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    url = url or f"{endpoint}/{OWNER}/{name}/resolve/main"
    folder = files.cache_dir() / "published" / name if folder is None else files.reader_path(folder, "a folder")
    with only_one(folder / CHECKSUMS):
        for file in FILES:
            path = folder / file
            if path.exists():
                _checked(path)
            else:
                found = download(
                    f"{url.rstrip('/')}/{file}", path, sha256=(sha256 or {}).get(file), timeout=timeout, tries=tries
                )
                kept = json.dumps(_checksums(folder) | {file: found}, indent=1) + "\n"
                files.write_file(folder / CHECKSUMS, kept.encode())
            if file == "config.json" and name in SIZES:
                _check_size(folder, name)
    return folder


def _checksums(folder: Path) -> dict[str, str]:
    try:
        found = json.loads(files.read_file(folder / CHECKSUMS) or b"{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{folder / CHECKSUMS} is damaged: remove the folder and fetch the model again")
    return found


def _checked(path: Path) -> Path:
    """The path itself, if the file is still what its stored checksum says: ours, or its name in the hub's cache."""
    expected, found = _checksums(path.parent).get(path.name), None
    blob = os.path.basename(os.path.realpath(path)) if path.is_symlink() else ""
    if expected or re.fullmatch("[0-9a-f]{64}", blob):
        expected, found = expected or blob, files.sha256(path)
    elif re.fullmatch("[0-9a-f]{40}", blob):
        expected, found = blob, files.file_digest(path, hashlib.sha1(b"blob %d\0" % path.stat().st_size))
    if expected != found:
        raise ValueError(
            f"{path} has changed since it was fetched (checksum {found}, expected {expected}): fetch it again"
        )
    return path
