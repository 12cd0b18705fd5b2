"""Chapter 01, lab on slips. Which mistakes the documents of a language model contain, from snapshot to snapshot.

The table data/measured/gpt1/slips.csv has a row for each seed, step, measure and kind. "share": of 150 documents that
the model wrote, how many have this kind as their first mistake ("clean": none). "excess": how much more surprised the
model is than the grammar at words of held-out documents where knowledge of this kind decides; no earlier mistake can
hide a later one there. Three to six minutes for a seed.

The rule for "grammar slips disappear first, then wrong facts, then unfaithfulness", stated before anything was
measured: a group of kinds has disappeared at the first snapshot from which on fewer than one document in ten has it as
its first mistake. The claim holds for a seed if grammar has disappeared at an earlier snapshot than facts, and facts at
an earlier one than unfaithfulness, where "never" is later than every snapshot; a tie is not earlier.
"""

import math
import sys
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from minigpt import sample
from minigpt.exact import entropy
from minigpt.exact.ngram import NGram
from minigpt.experiments import dataset, measured, pretraining
from minigpt.experiments.dataset import Dataset
from minigpt.model import GPT
from minigpt.worlds import grammar
from minigpt.worlds.lexicon import LEXICON

SEEDS = [0, 1, 2, 3, 4]
KEY = ("seed", "step", "measure", "kind")
GROUPS = {  # the kinds of slips, from the surface of the text to its meaning
    "grammar": ("English grammar", "French grammar", "form of the page"),
    "facts": ("home", "home in a story", "food or cover", "size"),
    "unfaithful": ("who", "object", "deed or colour", "mood", "translation"),
    "new pair": ("new pair",),
}
KINDS = ("clean", *(kind for kinds in GROUPS.values() for kind in kinds))
GONE = 0.1  # a group has disappeared when fewer documents than this share have it as their first slip


def _words(items: Iterable[str]) -> frozenset[str]:
    """The words as they stand in a text, after a blank and at the start of a line."""
    items = list(items)
    return frozenset(f" {item}" for item in items) | frozenset(items)


NAMES = _words(c.name for c in LEXICON.characters)
ANIMALS = _words(x.name for x in LEXICON.animals)
THINGS = _words(x.name for x in LEXICON.objects)
COLOURS = _words(c.name for c in LEXICON.colours)
DEEDS = _words(v[0] for v in LEXICON.verbs)
ADJECTIVES = frozenset(f" {w}" for mood in LEXICON.moods for w in mood.adjectives)
REACTIONS = frozenset(f" {w}" for mood in LEXICON.moods for w in mood.reactions)
LIVING = _words(p.name for p in LEXICON.places)
AT = _words(w for p in LEXICON.places for w in (p.at.split()[0], p.at.split()[0].capitalize()))
FOODS = _words(w for food in LEXICON.foods for w in (food, food.capitalize()))
COVERS = _words(x.cover for x in LEXICON.animals)
YES_NO = _words(("Yes", "No"))
BEFORE_PRONOUN = frozenset((" She", " He", " she", " he", " It", " All"))
PRONOUNS = frozenset((" She", " He", " she", " he"))
AT_HOME = tuple(map(frozenset, ((" good", " far"), (" knew", " had", " did"), (" lived", " never"))))
VERDICTS = tuple(
    map(frozenset, ((" felt", " did"), (" they", " one", " nobody"),
                    (" stayed", " played", " walked", " talked", " parted", " argued")))
)  # fmt: skip
COMPARED = frozenset((" bigger", " smaller", " as"))
SENTENCES = tuple(
    map(frozenset, ((" It", " Where", " What", " Does"), (" lives", " eats", " has"), (" live", " eat")))
)  # of a page of facts
FRENCH_ANIMALS = _words(x.french for x in LEXICON.animals)
FRENCH_THINGS = _words(x.french for x in LEXICON.objects)
FRENCH_DEEDS = _words(v[1] for v in LEXICON.verbs)
FRENCH_COLOURS = _words(w for c in LEXICON.colours for w in (c.french_m, c.french_f))
ARTICLES = _words(("un", "une"))
ENDS = frozenset((grammar.END, "\n"))


def page_of(text: str) -> str:
    """The kind of page that a text begins, or "" if the beginning does not tell."""
    first, second = (*grammar.words(text), "", "")[:2]
    if first in ("Once", "This"):
        return "story"
    if first in ("a", "an", "un", "une"):
        return "translation"
    if first in NAMES:
        return {" was": "feelings", " the": "walks"}.get(second, "")
    return {"About": "facts", "The": "sizes"}.get(first, "")


def needed(before: str, possible: Iterable[str], word: str | None = None) -> str:
    """What must be known to go on: the kind of slip that a wrong word would be if it is a word of the right type.

    before: a text that the grammar can begin with. possible: the words that it can go on with. word: the word that
    came; without one, the kind of the place, as if a wrong word of the right type had come. Anything else that cannot
    stand there is a slip of grammar.
    """
    possible = frozenset(possible)
    page = page_of(before)

    def chosen(words: frozenset[str], may: frozenset[str] | None = None) -> bool:
        """One of these words must come, and the one that came is one of them (or of those in `may`)."""
        if not possible or not possible <= words:
            return False
        if word is not None:
            return word in (words if may is None else may)
        forms = {_form_of(each) for each in possible}  # of "in" and "In" only one can come
        return any(_form_of(each) in forms for each in words - possible)

    if page == "translation":
        return _needed_in_translation(before, possible, word, chosen)
    if word is not None and word in ADJECTIVES and _said_before(before, possible, word):
        return "form of the page"
    if page in ("story", "walks", "feelings"):
        if before.endswith((" They", ", so", " so they")):
            return "mood" if any(map(chosen, VERDICTS)) else "English grammar"
        if chosen(ADJECTIVES) or chosen(REACTIONS):
            return "mood"
        if chosen(BEFORE_PRONOUN, PRONOUNS) or chosen(NAMES) or chosen(ANIMALS):
            return "who"
        if any(map(chosen, AT_HOME)):
            return "home in a story"
        if chosen(THINGS):
            return "object"
        if chosen(DEEDS) or chosen(COLOURS):
            return "deed or colour"
    if page == "facts":
        question = before.rsplit("?", 1)[0].rsplit(".", 1)[-1]
        if chosen(YES_NO):
            return "home" if "live" in question else "food or cover"
        if chosen(AT) or chosen(LIVING):
            return "English grammar" if "Does it live" in before.rsplit("?", 1)[-1] else "home"
        if chosen(FOODS) or chosen(COVERS):
            return "food or cover"
        if word is not None and any(possible <= words | ENDS and word in words for words in SENTENCES):
            return "form of the page"
    if page == "sizes" and (chosen(COMPARED) or chosen(ANIMALS)):
        return "size"
    return _form(possible, word) or "English grammar"


def _form_of(word: str) -> tuple[bool, bool]:
    """Whether there is a blank before a word, and whether it begins with a capital."""
    return word.startswith(" "), word.strip()[:1].isupper()


def _said_before(before: str, possible: frozenset[str], word: str) -> bool:
    """An adjective that stands there already, and is not possible for this reason alone."""
    return before.endswith(f"{word} and") or ADJECTIVES - possible == {word}


def _form(possible: frozenset[str], word: str | None) -> str:
    """The page ends too early, or goes on where it must end or begin a new line."""
    return "form of the page" if word is not None and (word in ENDS or possible <= ENDS) else ""


def _needed_in_translation(before, possible, word, chosen) -> str:
    """`needed` on a page of translations: which language is it, and is it the side that is free or the other?"""
    line = before.rsplit("\n", 1)[-1]
    target = " =" in line
    french = before.startswith("un") != target
    side = "French grammar" if french else "English grammar"
    if not target:
        if chosen(FRENCH_COLOURS if french else ANIMALS):
            agrees = not french or word is None or word.strip() in _agreeing(line)
            return "new pair" if agrees else side
        return _form(possible, word) or side
    if french and chosen(FRENCH_COLOURS) and word is not None and _other_form(word) in possible:
        return side
    in_french = (FRENCH_ANIMALS, FRENCH_COLOURS, FRENCH_DEEDS, FRENCH_THINGS)
    if any(map(chosen, in_french if french else (ANIMALS, COLOURS, DEEDS, THINGS))):
        return "translation"
    goes_on = frozenset((" a",)) if french else DEEDS
    if possible <= ENDS and word in goes_on or possible <= goes_on and word in ENDS:
        return "translation"  # something is added or left out
    return _form(possible, word) or side


def _agreeing(line: str) -> set[str]:
    """The French colours in the gender of the article that begins a line."""
    return {c.french_f if line.startswith("une") else c.french_m for c in LEXICON.colours}


def _other_form(word: str) -> str:
    """The same French colour in the other gender."""
    for c in LEXICON.colours:
        if word.strip() in (c.french_m, c.french_f):
            return f" {c.french_f if word.strip() == c.french_m else c.french_m}"
    return ""


def first_slip(program: grammar.Program, text: str) -> tuple[str, str, frozenset[str]] | None:
    """The first impossible word of a text: (the text before it, the word, the words that were possible), or None.

    The word is grammar.END where the text ends and must not. Found by bisection: a beginning of a possible text is
    possible.
    """
    if grammar.score(program, text).logp > -math.inf:
        return None
    pieces = grammar.words(text)
    low, high, possible = 0, len(pieces) + 1, frozenset(grammar.predict(program, "").next_word)
    while high - low > 1:  # the first `low` words are possible; the first `high` are not, or are more than there are
        middle = (low + high) // 2
        try:
            following = grammar.predict(program, "".join(pieces[:middle])).next_word
        except ValueError:
            high = middle
        else:
            low, possible = middle, frozenset(following)
    return "".join(pieces[:low]), (*pieces, grammar.END)[low], possible


def slip_kind(program: grammar.Program, text: str) -> str:
    """The kind of a text's first mistake: one of KINDS; "clean" if the grammar could have written the text."""
    slip = first_slip(program, text)
    if slip is None:
        return "clean"
    before, word, possible = slip
    return needed(before, possible, word)


def write(gpt: GPT, data: Dataset, n: int, generator: torch.Generator, temperature: float = 1.0) -> list[str]:
    """n documents that a model makes up."""
    endoftext = data.tokenizer.endoftext
    begin = torch.full((n, 1), endoftext)
    ids = sample.generate(gpt, begin, gpt.config.n_ctx - 1, generator, temperature, stop_id=endoftext)
    written = [[*row, endoftext] for row in ids[:, 1:].tolist()]
    return [data.tokenizer.decode(row[: row.index(endoftext)]) for row in written]


def write_ngram(ngram: NGram, data: Dataset, n: int, rng: np.random.Generator) -> list[str]:
    """n documents that an n-gram model makes up, none longer than a GPT may read."""
    texts = []
    for _ in range(n):
        ids = []
        while len(ids) < dataset.N_CTX and data.tokenizer.endoftext not in ids:
            cumulative = ngram.probs(ids[1 - ngram.n :] if ngram.n > 1 else []).cumsum()
            ids.append(int(np.searchsorted(cumulative / cumulative[-1], rng.random(), side="right")))
        texts.append(data.tokenizer.decode([i for i in ids if i != data.tokenizer.endoftext]))
    return texts


def shares(kinds: list[str]) -> dict[str, float]:
    """The share of each kind of KINDS in a list of kinds."""
    return {kind: kinds.count(kind) / len(kinds) for kind in KINDS}


def by_group(share: dict[str, float]) -> dict[str, float]:
    """The shares of the groups, from the shares of the kinds; "clean" stays."""
    return {"clean": share["clean"]} | {group: sum(share[kind] for kind in kinds) for group, kinds in GROUPS.items()}


def gone(steps: Iterable[int], share: Iterable[float], below: float = GONE) -> float:
    """The first snapshot from which on a share stays below `below`; infinity if there is none."""
    steps, low = list(steps), np.asarray(list(share)) < below
    if not low[-1]:
        return math.inf
    return steps[len(low) - int(np.argmin(low[::-1])) if not low.all() else 0]


def in_order(steps: Iterable[int], share: dict[str, Iterable[float]]) -> bool:
    """Whether grammar slips disappear first, then wrong facts, then unfaithfulness (the rule stands above)."""
    steps = list(steps)
    first, second, third = (gone(steps, share[group]) for group in ("grammar", "facts", "unfaithful"))
    return first < second < third


def known_places(data: Dataset, n: int) -> list[tuple[str, list[str], np.ndarray]]:
    """The first n held-out documents, each with the kind of knowledge that every word needs, and its exact surprisal.

    A place needs the knowledge of a kind if only some of the words of the right type are possible there.
    Shapes: the surprisals (n_words + 1,), the end included. Unit: nats.
    """
    found = []
    for text in data.held_out[:n]:
        before, kinds = "", []
        for word in (*grammar.words(text), grammar.END):
            kinds.append(needed(before, grammar.predict(data.program, before).next_word))
            before += word
        nats = np.array([each for _, each in entropy.word_nats(data.program, text)])
        found.append((text, kinds, nats))
    return found


def excess(gpt: GPT, data: Dataset, known: list) -> dict[str, float]:
    """How much more surprised than the grammar the model is, per word, by the kind of knowledge that the word needs.

    An estimate of KL(truth || model) at the places of each group. Unit: nats per word.
    """
    total, n = dict.fromkeys(GROUPS, 0.0), dict.fromkeys(GROUPS, 0)
    group_of = {kind: group for group, kinds in GROUPS.items() for kind in kinds}
    for text, kinds, nats in known:
        for kind, (_, surprise), least in zip(kinds, pretraining.word_nats(gpt, data, text), nats):
            total[group_of[kind]] += surprise - least
            n[group_of[kind]] += 1
    return {group: total[group] / n[group] for group in GROUPS if n[group]}


def rows(seed: int) -> Iterator[dict]:
    """The rows of one seed."""
    for where, value in measure(dataset.story_dataset(), seed).items():
        yield dict(zip(KEY, (seed, *where)), value=f"{value:.4f}")


def measure(data: Dataset, seed: int, n_documents: int = 150, n_known: int = 40, n_snapshots: int = 99) -> dict:
    """Everything that is measured of one seed: (step, measure, kind) -> value."""
    trained = pretraining.pretrain(data, seed=seed)
    known, found = known_places(data, n_known), {}
    for step in sorted(trained.snapshots)[:n_snapshots]:
        gpt = trained.at(step)
        texts = write(gpt, data, n_documents, torch.Generator().manual_seed(1000 * seed + step))
        for kind, share in shares([slip_kind(data.program, text) for text in texts]).items():
            found[step, "share", kind] = share
        for group, nats in excess(gpt, data, known).items():
            found[step, "excess", group] = nats
    return found


def stored(what: str) -> tuple[list[int], dict[str, np.ndarray]]:
    """The measured table: the steps, and for each kind ("share") or group ("excess") its values, seed by seed.

    Shapes: the values (n_seeds, n_steps). Errors: ValueError for another measure than these two.
    """
    found = [row for row in measured.rows("gpt1/slips") if row["measure"] == what]
    if not found:
        raise ValueError(f"expected 'share' or 'excess'; got {what!r}")
    values = {(int(row["seed"]), int(row["step"]), row["kind"]): float(row["value"]) for row in found}
    seeds, steps = (sorted({where[i] for where in values}) for i in (0, 1))
    kinds = list(dict.fromkeys(row["kind"] for row in found))
    return steps, {k: np.array([[values[seed, step, k] for step in steps] for seed in seeds]) for k in kinds}


def canary() -> dict[str, float]:
    """Numbers from a few seconds of the same code (see canaries.py)."""
    from minigpt.experiments.canaries import few_updates, gpt1, reading_along, stories, sum_of_tokens

    data = stories()
    with few_updates() as found, reading_along((sys.modules[__name__], "write")) as written:
        values = measure(data, 0, n_documents=4, n_known=2, n_snapshots=1)
    found["written"] = sum_of_tokens(written)
    found |= {" ".join(map(str, where)): value for where, value in values.items()}
    for old, new in ((" the", " a"), (" home", " sea"), (" was", " was sad and"), (" She", " He"), (" un", " une")):
        kinds = [slip_kind(data.program, text.replace(old, new, 2)) for text in data.held_out]
        found[f"altered{old}"] = float(sum(place * KINDS.index(kind) for place, kind in enumerate(kinds, 1)))
    return found | {f"excess, {group}": nats for group, nats in excess(gpt1(), data, known_places(data, 2)).items()}
