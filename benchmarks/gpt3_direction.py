"""Which direction is easier to translate? GPT-2 of width 64 on corpora of three balances of English and French.

    python benchmarks/gpt3_direction.py              all seeds (half an hour on one core)
    python benchmarks/gpt3_direction.py 0 2          only these seeds: several can run side by side

Writes data/measured/gpt3_direction.csv, a row for each seed, amount that can be guessed, balance, target language and
quantity (see `directions.translate`). Chapter 03 reads the file.
"""

import functools
import os
import sys
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt.experiments import canaries, measured
from minigpt.experiments.gpt3 import translation
from minigpt.worlds import grammar

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "typical", "balance", "into", "quantity")


def main(seeds: list[int]) -> None:
    """Measure one seed after another."""
    for seed in seeds:
        for typical in translation.TYPICAL:
            for balance in translation.BALANCES:
                keep(seed, typical, balance)


def keep(seed: int, typical: float, balance: str) -> None:
    """Train one model, ask it in both directions, and put the answers into the table."""
    corpus_of = translation.two_language_dataset(balance, typical)
    model, rows = translation.train_twice(corpus_of, seed).model, []
    for into in translation.LANGUAGES:
        for name, value in translation.translate(model, corpus_of, into, typical).items():
            rows.append(dict(zip(KEY, (seed, f"{typical:g}", balance, into, name)), value=f"{value:.4f}"))
    measured.keep("gpt3_direction", rows, KEY)
    print(seed, typical, balance, [(row["into"], row["quantity"], row["value"]) for row in rows], flush=True)


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    found = {}
    for typical in translation.TYPICAL:
        for balance in translation.BALANCES:
            with canaries.short_writing(60, 6) as asked:
                corpus_of = translation.two_language_dataset(balance, typical)
            found |= {f"{balance} {typical}, written": canaries.checksum(asked[0])}
            found |= {f"{balance} {typical}, floor": corpus_of.floor.mean}
            found[f"{balance} {typical}, English"] = translation.english(corpus_of.documents)
        run, numbers = canaries.trained(lambda: translation.train_twice(canaries.part(corpus_of, 45), 0))
        found |= canaries.under(f"{typical}", numbers)
        whole = canaries.part(corpus_of, translation.N_DOCUMENTS)
        found[f"{typical}, sum of rates"] = canaries.rates(lambda: translation.train_twice(whole, 0))
        for into in translation.LANGUAGES:
            asked = translation.questions(into, typical)
            found[f"{typical} into {into}, asked"] = len(asked)
            source = translation.LANGUAGES[into == "English"]
            said = [grammar.score(lambda d: translation._say(d, translation.NEW, source, typical, ""), prompt[:-2]).logp
                    for prompt, _ in asked[:12]]  # fmt: skip
            found[f"{typical} into {into}, questions"] = sum(said)
            found[f"{typical} into {into}, right"] = canaries.checksum(
                translation.is_sentence(answer.strip(), into) for _, answer in asked[:6]
            )
            with mock.patch.object(translation, "questions", functools.partial(translation.questions, n=3)):
                answers = translation.translate(run.model, corpus_of, into, typical)
            found |= canaries.under(f"{typical} into {into}", answers)
    return found


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or SEEDS)
