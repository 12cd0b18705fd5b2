"""The published vocabulary against the transformers library, on a small one in the same form."""

import json
import random

import pytest

from minigpt import hub, tokenizer

TEXTS = ["the cat sat on the mat, the cat did not", "un été à l'école", "naïve café 1999 ... don't", "日本語 🙂"] * 3


@pytest.fixture
def folder(tmp_path):
    """A vocabulary of 256 bytes and some merges, written as GPT-2's files are."""
    as_letter = {byte: letter for letter, byte in hub.byte_letters().items()}
    ids = {letter: i for i, letter in enumerate(hub.byte_letters())}
    merges = []
    for step in tokenizer.merge_steps(TEXTS, 60):
        a, b = ("".join(as_letter[byte] for byte in side) for side in step.pair)
        if a + b not in ids:
            merges.append(f"{a} {b}")
            ids[a + b] = len(ids)
    ids["<|endoftext|>"] = len(ids)
    (tmp_path / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    return tmp_path


def test_every_byte_has_one_letter():
    found = hub.byte_letters()
    assert len(found) == 256 and set(found.values()) == set(range(256))


def test_the_same_ids_as_transformers(folder):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.GPT2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    ours = hub.load_tokenizer(folder)
    rng = random.Random(0)
    letters = "the catsonm déà1 9'.\n日🙂"
    for text in [*TEXTS, *("".join(letters[int(rng.random() * len(letters))] for _ in range(30)) for _ in range(50))]:
        assert ours.encode(text) == theirs(text)["input_ids"], text
        assert ours.decode(ours.encode(text)) == text
    assert ours.endoftext == theirs.convert_tokens_to_ids("<|endoftext|>")


def test_files_that_do_not_fit_are_refused(folder):
    with pytest.raises(ValueError, match="expected a readable file of a vocabulary"):
        hub.load_tokenizer(folder / "nowhere")
    merges = (folder / "merges.txt").read_text(encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(merges.split("\n")[:-3]) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="do not fit"):
        hub.load_tokenizer(folder)
    (folder / "vocab.json").write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(ValueError, match="is not a GPT-2 vocabulary"):
        hub.load_tokenizer(folder)


def test_tokenizer_json_alone_will_do(folder):
    """What the transformers library writes today."""
    transformers = pytest.importorskip("transformers")
    transformers.GPT2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder / "saved")
    saved = folder / "saved"
    for name in ("vocab.json", "merges.txt"):
        (saved / name).unlink(missing_ok=True)
    assert (saved / "tokenizer.json").exists()
    assert hub.load_tokenizer(saved) == hub.load_tokenizer(folder)


def changed(folder, **files):
    for name, change in files.items():
        path = folder / {"vocab": "vocab.json", "merges": "merges.txt"}[name]
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def swap(text):
    head, *lines = text.split("\n")
    lines[0], lines[1] = lines[1], lines[0]
    return "\n".join([head, *lines])


def edit(change):
    def edited(text):
        ids = json.loads(text)
        change(ids)
        return json.dumps(ids)

    return edited


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"merges": swap}, "the order of the merges is not that of the ids"),
        ({"merges": lambda text: text + text.split("\n")[1] + "\n"}, "or twice"),
        ({"merges": lambda text: text.replace("#version: 0.2\n", "")}, None),
        ({"merges": lambda text: text + "a b c\n"}, "merges of two tokens"),
        ({"vocab": edit(lambda ids: ids.update(a=97.9))}, "whole numbers"),
        ({"vocab": edit(lambda ids: ids.update(a=True))}, "whole numbers"),
        ({"vocab": edit(lambda ids: ids.update(a=ids["b"]))}, "not that of the ids"),
        ({"vocab": edit(lambda ids: ids.update({"<|endoftext|>": 3}))}, "to be the last token"),
        ({"vocab": edit(lambda ids: ids.pop("a"))}, "do not fit"),
        ({"vocab": lambda text: ""}, "is not a GPT-2 vocabulary"),
        ({"vocab": lambda text: "{}"}, "is not a GPT-2 vocabulary"),
    ],
)
def test_vocabularies_with_another_sense_are_refused(folder, files, message):
    wanted = hub.load_tokenizer(folder)
    changed(folder, **files)
    if message is None:
        assert hub.load_tokenizer(folder) == wanted
        return
    with pytest.raises(ValueError, match=message):
        hub.load_tokenizer(folder)
