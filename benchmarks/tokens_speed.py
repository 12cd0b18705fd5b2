"""How quick are training and encoding, beside two others? All run in turn, in one process.

    python benchmarks/tokens_speed.py                 # the story world
    python benchmarks/tokens_speed.py my_book.txt     # a UTF-8 text, or a folder of them

Read the ratios: the times depend on the machine. Beside tiktoken's educational tokenizer the two must learn the same
tokens and give the same ids, or the comparison stops. `measure` (for run.py) takes the library tokenizers, written in
Rust, on one thread: a megabyte of stories to 512 merges, and then their ids. It breaks ties between equally frequent
pairs in another way; how many tokens both learn is in the row.
"""

import os
import random
import sys
import time
from functools import partial

from side_by_side import Row, in_turn, ratio
from tiktoken._educational import SimpleBytePairEncoding, bpe_train

from minigpt import corpus
from minigpt.batches import DocumentBatches
from minigpt.tokenizer import PATTERN, SPECIALS, train_bpe
from minigpt.worlds import stories

N_REPEATS = 3
N_MERGES = 512


def seconds(act) -> tuple[float, object]:
    """How long it took, and what came out."""
    begin = time.perf_counter()
    result = act()
    return time.perf_counter() - begin, result


def side_by_side(what: str, ours, theirs) -> None:
    """Run both in turn N_REPEATS times, compare what they return, print the best times and their ratio."""
    mine, other = [], []
    for _ in range(N_REPEATS):
        time_ours, result_ours = seconds(ours)
        time_theirs, result_theirs = seconds(theirs)
        if result_ours != result_theirs:
            sys.exit(f"{what}: the results differ, so their times say nothing")
        mine.append(time_ours)
        other.append(time_theirs)
    faster = min(other) / min(mine)
    print(f"{what:<44} ours {min(mine):8.4f} s   educational {min(other):8.4f} s   ratio {faster:7.1f}")


def rust(texts: list[str], n_merges: int):
    """The same pieces of text and the same bytes, merged by the library tokenizers."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    found = Tokenizer(models.BPE())
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    found.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PATTERN), "isolated"), as_bytes])
    found.decoder, alphabet = decoders.ByteLevel(), pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=256 + n_merges, initial_alphabet=alphabet, show_progress=False)
    found.train_from_iterator(texts, trainer)
    return found


def measure(tiny: bool = False) -> list[Row]:
    try:
        import tokenizers
    except ImportError:
        return []
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread, as ours
    n_merges, rounds, size = (20, 1, 2_000) if tiny else (N_MERGES, 5, 1_000_000)
    texts, n_characters = [], 0
    for text in stories.documents(12_000, random.Random(0)):
        texts.append(text)
        n_characters += len(text)
        if n_characters >= size:
            break
    n_vocab = 256 + n_merges + len(SPECIALS)
    sides = {"ours": lambda: train_bpe(texts, n_vocab), "theirs": lambda: rust(texts, n_merges)}
    times, mine, other = in_turn(sides, rounds), sides["ours"](), sides["theirs"]()
    learned = {token.decode("utf-8", "replace") for token in mine.ranks if len(token) > 1}
    same = len(learned & {other.decode([i]) for i in range(256, 256 + n_merges)})
    what = f"{n_characters / 1e6:.1f} MB of stories"
    rows = [
        ratio(f"BPE, {n_merges} merges of {what}, beside tokenizers (Rust)", times["theirs"], times["ours"],
              note=f"{same} of {n_merges} tokens are the same; tokenizers {tokenizers.__version__}")
    ]  # fmt: skip
    times = in_turn({"ours": lambda: corpus.encode(texts, mine), "theirs": lambda: other.encode_batch(texts)}, rounds)
    rows.append(ratio(f"encoding {what}, beside tokenizers (Rust)", times["theirs"], times["ours"]))
    return rows


def main() -> None:
    if len(sys.argv) > 1:
        texts = corpus.read_text(sys.argv[1])
    else:
        texts = list(stories.documents(12_000, random.Random(0)))
    n_bytes = sum(len(text.encode("utf-8")) for text in texts)
    took, tokenizer = seconds(partial(train_bpe, texts, 1024))
    print(f"training on all {n_bytes / 1e6:.2f} MB, n_vocab {tokenizer.n_vocab}: {took:.2f} s")

    part = "".join(texts)[:20_000]  # the educational trainer needs about a minute for a megabyte and 100 merges
    n_ranks = train_bpe([part], 256 + 200).n_vocab - len(SPECIALS)
    side_by_side(
        f"training, {len(part):,} characters, {n_ranks - 256} merges",
        lambda: train_bpe([part], n_ranks + len(SPECIALS)).ranks,
        lambda: bpe_train(part, n_ranks, PATTERN, visualise=None),
    )
    long = "".join(texts)[:200_000]
    slow = SimpleBytePairEncoding(pat_str=PATTERN, mergeable_ranks=tokenizer.ranks)
    tokenizer.encode("")  # builds the encoding
    side_by_side(
        f"encoding, {len(long):,} characters",
        lambda: tokenizer.encode(long),
        lambda: slow.encode(long, visualise=None),
    )
    took, encoded = seconds(partial(corpus.encode, texts, tokenizer))
    print(f"encoding {len(texts):,} documents, {encoded.n_tokens:,} tokens: {took:.2f} s")
    if max(encoded.lengths) < 2048:
        took, batches = seconds(partial(DocumentBatches, encoded, tokenizer, 2048))
        took_epoch, _ = seconds(lambda: [batch for batch in batches])
        each = took_epoch / len(batches)
        print(f"batches: {len(batches):,} made ready in {took * 1e3:.0f} ms; each takes {each * 1e6:.0f} µs")


if __name__ == "__main__":
    main()
