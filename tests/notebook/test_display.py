"""Display: what is put on the page in words, that it is escaped, and that checks say what they measured."""

import ast
import inspect
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure

from minigpt import plots
from minigpt.notebook import display


class Outline(HTMLParser):
    """Tags and texts of HTML; fails on tags that do not match."""

    def __init__(self, markup: str):
        super().__init__()
        self.open, self.seen, self.texts = [], [], []
        self.feed(markup)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in ("wbr", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def put(monkeypatch):
    """What was put on the page."""
    bundles = []
    monkeypatch.setattr(display, "_put", lambda bundle, metadata=None: bundles.append((bundle, metadata)))
    return bundles


def test_a_figure_is_one_output_with_its_sentence_as_alt_and_as_caption(put):
    alt = 'The loss falls fast, then slowly,\n   and stays above the <floor> & its "hatching".'
    sentence = 'The loss falls fast, then slowly, and stays above the <floor> & its "hatching".'
    display.show(plots.loss_curve({"GPT": ([0, 1, 2], [3, 2, 1])}, 0.9), alt)
    ((bundle, _),) = put
    assert set(bundle) == {"text/html", "text/plain"} and bundle["text/plain"] == sentence
    outline = Outline(bundle["text/html"])
    assert [tag for tag, _ in outline.seen] == ["figure", "img", "figcaption", "em"]
    picture = dict(outline.seen)["img"]
    assert picture["alt"] == sentence and "".join(outline.texts) == sentence
    assert picture["src"].startswith("data:image/png;base64,iVBORw0KGgo") and "\n" not in picture["src"]
    assert "background: #ffffff" in picture["style"] and "padding" in picture["style"]  # a white card in a dark theme
    assert int(picture["width"]) <= 9 * 96 + 16  # shown at half its resolution


HOSTILE = '<script>alert(1)</script></pre></table>"\'<img src=x onerror=alert(2)>&amp;'


def test_whatever_text_is_put_on_the_page_is_escaped(put):
    figure = plots.mask_picture({"causal": np.tri(2)})
    display.show(figure, HOSTILE)
    display.table([[HOSTILE, 1]], [HOSTILE, "n"], caption=HOSTILE)
    display.claims_table([(HOSTILE, HOSTILE, HOSTILE, HOSTILE)])
    display.claims([(HOSTILE, HOSTILE, [1.0, 2.0], HOSTILE, 0.5), (HOSTILE, HOSTILE, HOSTILE)], rule=HOSTILE)
    display.verdict("✗", HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    display.scores([("✓", HOSTILE)], HOSTILE)
    display.token_strip([HOSTILE], [1], label=HOSTILE)
    display.merge_tree([(HOSTILE, [HOSTILE])])
    assert len(put) == 8
    for bundle, _ in put:
        outline = Outline(bundle["text/html"])
        assert "script" not in {tag for tag, _ in outline.seen}
        assert not any("onerror" in attributes for _, attributes in outline.seen)
        assert any("alert(1)" in text for text in outline.texts)


def test_a_page_of_text_is_plain_text(capsys):
    display.page(HOSTILE)
    assert capsys.readouterr().out.strip() == HOSTILE
    display.page("one two three\n\nfour", width=9)
    assert capsys.readouterr().out == "one two\n    three\n\nfour\n\n"
    with pytest.raises(ValueError, match="a width in letters.* got nan"):  # it would never end
        display.page("x", width=float("nan"))


def test_a_pyplot_figure_is_closed(put):
    import matplotlib.pyplot as plt

    figure = plt.figure()
    display.show(figure, "An empty figure, drawn with pyplot by a reader.")
    assert plt.get_fignums() == []


def test_outside_a_notebook_the_sentence_is_written(capsys):
    display.show(plots.mask_picture({"causal": np.tri(3)}), "A causal mask: every position sees itself and the past.")
    assert capsys.readouterr().out == "A causal mask: every position sees itself and the past.\n"


def example(x):
    """Say nothing.

    At length: ```
    """

    def inner():
        """Only this."""

    text = "not a docstring"
    return text, inner, x


def test_source_shows_the_code_that_runs(put):
    display.source(example)
    ((bundle, _),) = put
    code = inspect.getsource(example).rstrip()
    assert (
        bundle["text/markdown"] == f"From `tests/notebook/test_display.py`:\n\n````python\n{code}\n````"
    )  # a longer fence than any inside
    assert bundle["text/plain"] == f"# tests/notebook/test_display.py\n{code}"


def test_source_without_docstrings_is_the_same_program(put):
    display.source(example, docstring=False)
    code = put[0][0]["text/plain"].split("\n", 1)[1]
    assert (
        "Say nothing" not in code and 'text = "not a docstring"' in code and "Only this" in code
    )  # all that inner has
    assert not re.search(r":\n\s*\n", code)

    def without(tree):
        tree.body[0].body = tree.body[0].body[1:]
        return ast.dump(tree)

    assert ast.dump(ast.parse(code)) == without(ast.parse(inspect.getsource(example)))


def test_source_of_a_class_and_a_module(put):
    display.source(Outline, docstring=False)
    display.source(display, docstring=False)
    assert "class Outline(HTMLParser):\n    def __init__" in put[0][0]["text/plain"]
    assert put[1][0]["text/plain"].startswith("# minigpt/notebook/display.py\nimport ast\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("the model is above the floor", True), "the model is above the floor"),
        (("numpy's truth", np.bool_(True)), "numpy's truth"),
        (("the gap", 0.0523, 0, 0.1), "the gap 0.0523 (between 0 and 0.1)"),
        (("the gap", np.float32(0.0523), None, 0.1), "the gap 0.0523 (at most 0.1)"),
        (("accuracy", np.array(0.9), 0.5), "accuracy 0.9 (at least 0.5)"),
        (("seeds, out of 20, that won", 19, 17), "seeds, out of 20, that won 19 (at least 17)"),
        (("parameters", 124_439_808, 1e6), "parameters 124,439,808 (at least 1e+06)"),
        (("two roads to the optimum differ by", 2.2e-16, None, 1e-9), "two roads to the optimum differ by 2.2e-16 (at most 1e-09)"),
        (("the excess", -0.02, -0.05, 0.1), "the excess -0.02 (between -0.05 and 0.1)"),
        (("the share is larger by at least", 0.3, 0.05), "the share is larger by 0.3 (at least 0.05)"),
        (("the share is at most", 0.3, None, 0.5), "the share 0.3 (at most 0.5)"),
        (("utility gained by step 1", 6.2, 4), "utility gained by step 1: 6.2 (at least 4)"),
        (("the loss:", 1.2, None, 2), "the loss 1.2 (at most 2)"),
        (("for this the analysis", 1.2, None, 2), "for this the analysis 1.2 (at most 2)"),
    ],
)  # fmt: skip
def test_checks_print_the_claim_the_number_and_the_bound(arguments, line, capsys):
    display.check(*arguments)
    assert capsys.readouterr().out == f"check: {line}: yes\n"


@pytest.mark.parametrize("bounds", [(0.5,), (None, 0.5), (0.5, 0.5)])
def test_a_bound_itself_is_allowed(bounds, capsys):
    display.check("the share", 0.5, *bounds)
    assert capsys.readouterr().out.endswith("yes\n")


@pytest.mark.parametrize(
    "arguments", [(False,), (0.2, 0, 0.1), (-0.1, 0, 0.1), (float("nan"), 0, 1), (float("nan"), 0), (2, None, 1)]
)
def test_failing_checks_tell_the_value_and_what_to_try(arguments, capsys):
    with pytest.raises(AssertionError) as caught:
        display.check("the claim", *arguments)
    message = str(caught.value)
    assert "the claim" in message and f"{arguments[0]}" in message and "start.py check" in message
    assert capsys.readouterr().out == ""
    with pytest.raises(AssertionError, match="What to try: train longer"):
        display.check("the claim", *arguments, advice="train longer")


@pytest.mark.parametrize("arguments", [(True, 0, 1), (0.5,), ("yes",), (None,), ([0.5], 0, 1)])
def test_unclear_checks_are_refused(arguments):
    with pytest.raises(ValueError, match="'the claim'"):
        display.check("the claim", *arguments)


def test_measured(capsys):
    display.measured("loss", 1.23456)
    display.measured("loss", np.float32(1.25), 1, "nats per token")
    assert capsys.readouterr().out == "loss ≈ 1.23\nloss ≈ 1.2 nats per token\n"


ROWS = [
    {"dataset": "RTE", "gpt1": 56.0, "delta": -5.7, "n": 2490, "best": False, "note": None},
    {
        "dataset": "a < b",
        "gpt1": np.float64(8.25),
        "delta": float("nan"),
        "n": np.int64(7),
        "best": np.bool_(True),
        "note": "x",
    },
]


def test_a_table_lines_up_and_says_everything_twice(put):
    display.table(
        ROWS,
        {"dataset": "data set", "gpt1": "GPT-1", "delta": "change", "n": "n", "best": "best?", "note": "note"},
        "Two rows",
    )
    ((bundle, _),) = put
    assert bundle["text/plain"].split("\n") == [
        "Two rows",
        "data set  GPT-1  change     n  best?  note",
        "--------  -----  ------  ----  -----  ----",
        "RTE        56.0    -5.7  2490  no     –",
        "a < b      8.25       –     7  yes    x",
    ]
    outline = Outline(bundle["text/html"])
    assert [t for t in outline.texts if t.strip()][:3] == ["Two rows", "data set", "GPT-1"] and "a < b" in outline.texts
    assert [tag for tag, _ in outline.seen].count("td") == 12
    assert all(attributes["scope"] == "col" for tag, attributes in outline.seen if tag == "th")
    assert ("td", {"style": "text-align: right"}) in outline.seen


def test_digits_are_for_floats_only(put):
    display.table([[1, 2.0, 0.125]], ["a", "b", "c"], digits=2)
    assert put[0][0]["text/plain"].split("\n")[-1].split() == ["1", "2.00", "0.12"]
    display.table([[-0.004, -0.006, 0.0]], ["a", "b", "c"], digits=2)
    assert put[1][0]["text/plain"].split("\n")[-1].split() == ["0.00", "-0.01", "0.00"]  # a rounded 0 has no sign


def test_claims_say_yes_and_no_in_words(put):
    display.claims_table(
        [("c1", "sec. 1", "0.9 against 0.7", True), ("c2", "Table 5", "no gain", False), ("c3", "s", "m", "partly")]
    )
    lines = put[0][0]["text/plain"].split("\n")
    assert lines[1].split("  ")[0] == "the paper says" and [line.split()[-1] for line in lines[3:]] == [
        "yes",
        "no",
        "partly",
    ]


def test_claims_have_an_effect_with_its_interval_and_one_of_four_verdicts(put):
    display.claims([
        ("it helps", "Table 1", [1.0, 2.0, 3.0], "points", 1),  # 2 ± t(2) s / sqrt(3) = 2 ± 4.303 / 1.732
        ("it scales", "Fig. 2", (x for x in (0.0, 0.25, 0.5, 0.75)), "nats", 0.5),  # s = 0.3227, t(3) = 3.182
        ("it is fast", "sec. 4", [-0.001], "s", 0.5),
        ("it is sure", "sec. 4", [1.0, 2.0], "s", 0.5),  # s = 0.7071, t(1) = 12.706
        ("it reads", "sec. 5", "we have no books"),
    ])  # fmt: skip
    lines = [re.split(r"\s{2,}", line) for line in put[0][0]["text/plain"].split("\n")]
    assert lines[0][0].startswith("What the paper says, and what we found. Verdict: reproduced if")
    assert lines[1] == ["the paper says", "source", "we measured", "verdict"]
    assert lines[3:] == [
        ["it helps", "Table 1", "2.00 ± 2.48 points; at least 1 in 3 of 3 cases", "reproduced"],
        ["it scales", "Fig. 2", "0.38 ± 0.51 nats; at least 0.5 in 2 of 4 cases", "partly"],
        ["it is fast", "sec. 4", "0.00 s; at least 0.5 in 0 of 1 case", "not reproduced"],
        ["it is sure", "sec. 4", "1.50 ± 6.35 s; at least 0.5 in 2 of 2 cases", "reproduced"],
        ["it reads", "sec. 5", "we have no books", "not testable here"],
    ]


def test_the_rule_above_the_claims_can_be_told_in_other_words(put):
    display.claims([("it reads", "sec. 5", "we have no books")], rule="Our own rule.")
    assert put[0][0]["text/plain"].startswith("What the paper says, and what we found. Our own rule.\n")


@pytest.mark.parametrize("rows", [[], [("a", "b")], [("a", "b", [1.0], "points")], [("a", "b", [], "points", 1)]])
def test_claims_of_another_form_are_named(rows):
    with pytest.raises(ValueError, match="row|expected"):
        display.claims(rows)


def test_a_verdict_has_a_sign_a_fold_for_the_hint_and_the_same_words_in_plain_text(put):
    plain = display.verdict("✗", "my_head", "not yet", "Use `return`.", "Think of `tril`.")
    ((bundle, _),) = put
    assert plain == bundle["text/plain"] == "✗ my_head: not yet. Use `return`."
    outline = Outline(bundle["text/html"])
    assert [tag for tag, _ in outline.seen] == ["div", "strong", "code", "details", "summary", "code"]
    assert "".join(outline.texts) == "✗ my_head: not yet. Use return.HintThink of tril."
    display.verdict("✓", "my_head", "correct")
    colours = [re.search("color: (#[0-9a-f]{6})", each["text/html"])[1] for each, _ in put]
    red, green = ([int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours)
    assert red[0] > max(red[1:]) and green[1] > max(green[0], green[2]), "wrong is red, right is green"
    put.clear()
    display.verdict("○", "my_head", "not attempted yet")
    assert put[0][0]["text/plain"] == "○ my_head: not attempted yet" and "details" not in put[0][0]["text/html"]


def test_scores_name_each_exercise_with_its_sign(put):
    display.scores([("✓", "my_head"), ("○", "my_block")], "1 of 2 exercises solved")
    assert put[0][0]["text/plain"] == "1 of 2 exercises solved\n✓ my_head\n○ my_block"


def test_tokens_are_apart_without_colour(put):
    display.token_strip([" the", "<b>", b"\xc3", b" \n"], [5, 6, 7, 8], label="Cut")
    ((bundle, _),) = put
    assert bundle["text/plain"] == "Cut: ␣the|<b>|⟨c3⟩|␣⏎\nids: 5 6 7 8"
    outline = Outline(bundle["text/html"])
    spans = [attributes["style"] for tag, attributes in outline.seen if tag == "span"]
    assert len(spans) == 4 and all("border: 1px solid" in style and "color: #111111" in style for style in spans)
    assert "<b>" in outline.texts and "\xa05" in outline.texts


def test_merges_are_shown_step_by_step(put):
    display.merge_tree([("bytes", [b"t", b"h", b"e"]), ("1: t + h", ["th", "e"]), ("2: th + e", ["the"])])
    ((bundle, _),) = put
    assert bundle["text/plain"] == "bytes      t|h|e\n1: t + h   th|e\n2: th + e  the"
    assert [tag for tag, _ in Outline(bundle["text/html"]).seen].count("span") == 6


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (8.8e13, "8.8e+13"),
        (2e8, "2e+08"),
        (123456789.5, "123456789.5"),
        (0.076, "0.076"),
        (2048.0, "2048.0"),
        (56.0, "56.0"),
    ],
)
def test_large_floats_are_short_if_nothing_is_lost(put, value, written):
    display.table([[value]], ["a"])
    assert put[-1][0]["text/plain"].split("\n")[-1].strip() == written


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: display.show(Figure(), "short"), "at least 20 characters"),
        (lambda: display.table([]), "at least one row"),
        (lambda: display.table([{"a": 1}], ["b"]), "no such columns: \\['b'\\]"),
        (lambda: display.table([[1, 2]], ["a"]), "a row has 2 cells"),
        (lambda: display.token_strip(["a"], [1, 2]), "1 pieces, but 2 ids"),
        (lambda: display.merge_tree([("0", ["a", "b"]), ("1", ["ac"])]), "not the text of the first step"),
        (lambda: display.source(3), "no Python source"),
        (lambda: display.source(len), "no Python source"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_claims_are_judged_by_their_cases():
    row = display.claim("it helps", "Table 1", [0.25, 0.75], "points", [True, False], "seeds")
    assert row == ("it helps", "Table 1", "0.50 ± 3.18 points; 1 of 2 seeds", "partly: 1 of 2")
    assert display.claim("a", "b", [1.0, 2.0, 3.0], "nats", [True] * 3)[2:] == ("2.00 ± 2.48 nats; 3 of 3", True)
    assert display.claim("a", "b", [-1.0, -1.0], "nats", np.array([False, False]))[3] is False
    with pytest.raises(ValueError, match="at least one case"):
        display.claim("a", "b", [1.0, 2.0], "nats", [])


def test_a_row_without_a_column_is_refused_in_words():
    with pytest.raises(ValueError, match=r"no such columns: \['b'\]"):
        display.table([{"a": 1, "b": 2}, {"a": 1}])
