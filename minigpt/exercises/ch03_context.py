"""Checks for the exercises of chapter 03 on the context: a K-shot prompt that fits, and the best possible learner."""

import itertools
import math
from collections.abc import Callable, Iterator

from minigpt import prompts
from minigpt.exercises.judging import Problem, called, exercise, scalar, short, slips


@exercise("my_prompt", 'That is few-shot with K "as many as fit".',
          hint="Begin with the question alone. Put one example more in front of it as long as "
               "`count_tokens(prompt) + room <= n_ctx`, and stop at the first that does not fit.")  # fmt: skip
def prompt(answer: Callable[[list, str, Callable[[str], int], int, int], str]) -> None:
    """The K-shot prompt with as many examples, from the first on, as fit into the window."""
    question, found = "cheese =>", []  # for each case: what came, what is right, the slips, where
    for examples, n_ctx, room in _PROMPTS:
        shots = [prompts.Example(*_halves(each)) for each in examples]
        K = prompts.fit("", shots, question, _count_tokens, n_ctx, room)
        right = prompts.build("", shots[:K], question)
        got = called(answer, list(examples), question, _count_tokens, n_ctx, room)
        where = f"for {len(examples)} examples, n_ctx = {n_ctx} and room = {room}, where K = {K} fit"
        if not isinstance(got, str):
            raise Problem(f"expected the prompt, a text, and got {short(got)} {where}")
        found.append((got, right, list(_wrong_prompts(examples, question, n_ctx, room, K)), where))
    first = next((case for case in found if case[0] != case[1]), None)
    if first is None:
        return
    # Several slips may give the same prompt in one case: the one that explains most cases is named.
    explained = [sum(got == slips_here[i][0] for got, _, slips_here, _ in found) for i in range(len(first[2]))]
    for i in sorted(range(len(explained)), key=lambda i: -explained[i]):
        wrong, sentence = first[2][i]
        if first[0] == wrong:
            raise Problem(f"{sentence} ({first[3]})")
    raise Problem(f"{first[3]}, the prompt should be {first[1]!r}, and you have {short(first[0])}")


_EXAMPLES = (
    "sea otter => loutre de mer", "peppermint => menthe poivrée", "fox => renard",
    "plush giraffe => girafe en peluche",
)  # fmt: skip
_PROMPTS = (
    *((_EXAMPLES, n_ctx, room) for n_ctx in (21, 16, 19, 24, 13) for room in (3, 1, 5)),
    (_EXAMPLES, 99, 3), (_EXAMPLES[3:] + _EXAMPLES[2:3], 11, 2), (_EXAMPLES, 5, 2), (_EXAMPLES[1:], 18, 3),
)  # fmt: skip


def _halves(example: str) -> tuple[str, str]:
    context, completion = example.split(" =>")
    return context + " =>", completion


def _count_tokens(text: str) -> int:
    """A tokenizer to count with: each word and each line end is one token."""
    return len(text.split()) + text.count("\n")


def _wrong_prompts(examples, question: str, n_ctx: int, room: int, K: int) -> Iterator[tuple[str, str]]:
    """What slips would give, one by one."""

    def fits(n_ctx=n_ctx, room=room, count=_count_tokens) -> int:
        k = 0
        while k < len(examples) and count("\n".join([*examples[: k + 1], question])) + room <= n_ctx:
            k += 1
        return k

    def made(shown) -> str:
        return "\n".join([*shown, question])

    def bare(text: str) -> int:
        return len(text.split())

    def examples_alone(text: str) -> int:
        return _count_tokens(text) - _count_tokens("\n" + question)

    right = made(examples[:K])
    yield made(examples[: K + 1]), "one too many: the example with which the window overflows is left out"
    yield made(examples[: fits(room=0)]), "the answer needs room in the window, too: keep `room` tokens free"
    yield made(examples[: fits(count=examples_alone)]), "the question stands in the window, too: count its tokens"
    yield made(examples[: fits(n_ctx=n_ctx - 1)]), "a prompt that fills the window to the last token still fits"
    yield made(examples[: fits(room=2 * room)]), "keep `room` tokens free once, not twice"
    yield made(examples[: fits(count=bare)]), "line ends are tokens: count the prompt as a whole"
    yield made(examples), "not all of them fit: count the tokens"
    skipping = []
    for each in examples:
        if _count_tokens(made([*skipping, each])) + room <= n_ctx:
            skipping.append(each)
    yield made(skipping), "stop at the first example that does not fit: leaving one out changes which are shown"
    yield made(examples[K - 1 :: -1] if K else []), "keep the order of the examples: the first one comes first"
    yield made(examples[len(examples) - K :]), "take the examples from the first on, not the last ones"
    yield "\n".join([question, *examples[:K]]), "the question comes last: the model goes on from there"
    yield "\n".join(examples[:K]), "the question is missing"
    yield right + "\n", "no line end after the question: the model goes on where its text ends"
    yield right + " ", "no space after the question: in this vocabulary it belongs to the word after it"
    yield "\n" + right, "the prompt begins with its first example, without a line end in front of it"
    for sign, name in ((" ", "a space"), ("", "nothing"), ("\n\n", "an empty line"), (", ", "a comma")):
        yield sign.join([*examples[:K], question]), f"examples are separated by one line end, `\\n`, not by {name}"


@exercise("my_posterior", "No learner can beat it, whatever its size.",
          hint="The weight of a rule: its prior, times `share(rule, word, said)` for each pair. Divide the weights by "
               "their sum. Then add the weight of each rule to the answer that it gives to `asked`: several rules may "
               "give the same.")  # fmt: skip
def posterior(answer: Callable[[dict, dict, list, str, Callable], dict]) -> None:
    """The best possible in-context learner, for rules that can be listed."""
    for (_, prior), pairs, asked in itertools.product(_PRIORS, _SHOWN, "abc"):
        made = _learner(prior, pairs, asked)
        right = made()
        where = f"after {pairs}, asked {asked!r}, with the prior {prior}"
        advice = "with noise no rule is impossible: each pair only makes some of them less likely" * bool(pairs)
        rules = {rule: dict(table) for rule, table in _RULES.items()}
        got = called(answer, rules, dict(prior), list(pairs), asked, _share, advice=advice)
        if not isinstance(got, dict):
            raise Problem(f"expected a dict, got {type(got).__name__} {where}")
        got = {key: scalar(value) for key, value in got.items()}
        if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in got.values()):
            raise Problem(f"expected a dict of numbers, got {short(got)} {where}")
        if _agree(got, right):
            continue
        for wrong, sentence in slips(made, _LEARNER_SLIPS):
            if wrong is not None and not _agree(wrong, right) and _agree(got, wrong):
                raise Problem(f"{sentence} ({where})")
        rounded = [{key: round(float(value), 4) for key, value in each.items()} for each in (right, got)]
        raise Problem(f"{where} it should be {rounded[0]}, and you have {rounded[1]}")


_RULES = {
    "next": {"a": "b", "b": "c", "c": "a"}, "keep": {"a": "a", "b": "b", "c": "c"},
    "swap": {"a": "b", "b": "a", "c": "c"}, "all b": {"a": "b", "b": "b", "c": "b"},
}  # fmt: skip
_PRIORS = (
    ("equal", dict.fromkeys(_RULES, 0.25)), ("unequal", {"next": 0.1, "keep": 0.2, "swap": 0.1, "all b": 0.6}),
)  # fmt: skip
_SHOWN = (
    [], [("a", "b")], [("a", "b"), ("c", "c")], [("b", "a"), ("b", "a"), ("c", "a")],
    [("a", "c")], [("c", "a"), ("b", "b"), ("a", "c")],  # the last two contradict every rule
)  # fmt: skip
_RELIABILITY = 0.7


def _share(rule: str, word: str, said: str) -> float:
    """P(said | word, rule): the rule's answer with probability 0.7, else that of another rule, or a slip of the pen."""
    follows = sum(
        (_RELIABILITY if other == rule else (1 - _RELIABILITY) / (len(_RULES) - 1)) * (table[word] == said)
        for other, table in _RULES.items()
    )
    return 0.97 * follows + 0.01


_WITHOUT_NOISE = (
    "asked is what the rule says, without noise: give the rule's whole probability to its own answer, without `share` "
    "for the word asked"
)
_LEARNER_SLIPS = {
    "prior": (("equal", "the rules are not equally likely beforehand: begin with the prior"),),
    "likelihood": (
        ("0/1", "a pair that a rule does not give makes it less likely, not impossible: use share(rule, word, said)"),
        ("hit", "a pair that a rule does not give counts as well: multiply by share(rule, word, said) for every pair"),
        ("none", "the examples are not used"),
        ("last", "every example counts, not only the last one"),
        ("first", "every example counts, not only the first one"),
    ),
    "combine": (("add", "independent examples multiply; you added"),),
    "result": (
        ("overwrite", "several rules may give the same answer: add their probabilities; you overwrote the first one's"),
        ("predictive", _WITHOUT_NOISE),
        ("predictive, of the rules' answers", _WITHOUT_NOISE),
        ("bet", "do not bet on one rule: add up over all rules, each with its posterior"),
        ("unscaled", "divide by the sum, so that the probabilities add to 1"),
        ("rules", "that is the posterior of the rules: say what each makes of the word asked, and add up"),
        ("weights", "that is the weight of each rule: say what it makes of the word asked, and divide by the sum"),
    ),
}  # fmt: skip


def _learner(prior: dict, pairs: list, asked: str) -> Callable[..., dict | None]:
    """The Bayes learner, with slips; None where a slip has no answer."""
    equal = dict.fromkeys(prior, 1 / len(prior))

    def made(likelihood="", combine="", result="", **slip) -> dict | None:
        seen = {"none": [], "last": pairs[-1:], "first": pairs[:1]}.get(likelihood, pairs)
        before, weight = equal if slip.get("prior") == "equal" else prior, {}
        for rule, table in _RULES.items():
            each = [_share(rule, *pair) for pair in seen]
            if likelihood in ("0/1", "hit"):
                miss = 0.0 if likelihood == "0/1" else 1.0
                each = [x if (likelihood == "hit" and table[w] == said) else 1.0 if table[w] == said else miss
                        for x, (w, said) in zip(each, seen)]  # fmt: skip
            weight[rule] = before[rule] * ((sum(each) if seen else 1.0) if combine == "add" else math.prod(each))
        total = sum(weight.values())
        if not total:  # every rule was taken for impossible
            return None
        if result in ("weights", "rules"):
            return {rule: w / (total if result == "rules" else 1.0) for rule, w in weight.items()}
        if result == "bet":
            return {_RULES[max(weight, key=weight.get)][asked]: 1.0}
        out, noisy = {}, result.startswith("predictive")
        words = "abc" if result == "predictive" else sorted({table[asked] for table in _RULES.values()})
        for rule, w in weight.items():
            w = w if result == "unscaled" else w / total
            for said in words if noisy else [_RULES[rule][asked]]:
                p = w * _share(rule, asked, said) if noisy else w
                out[said] = p + (0.0 if result == "overwrite" else out.get(said, 0.0))
        return out

    return made


def _agree(a: dict, b: dict) -> bool:
    return all(abs(a.get(key, 0.0) - b.get(key, 0.0)) <= 1e-6 * max(1.0, abs(b.get(key, 0.0))) for key in a.keys() | b)
