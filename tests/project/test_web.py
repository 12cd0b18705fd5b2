"""The web edition: what needs no Sphinx is tested always; two small pages are built where Sphinx is installed."""

import ast
import base64
import html.parser
import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

import start

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import webbook  # noqa: E402
import workbook  # noqa: E402

NAMES = workbook.originals(ROOT)
SPHINX = all(importlib.util.find_spec(name) for name in start.NEEDED_FOR_WEB)
# A black square of one pixel.
DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


@pytest.mark.parametrize(
    ("text", "page", "expected"),
    [
        ("[a](01_gpt1.ipynb)", "chapters/00_world.ipynb", "[a](01_gpt1.ipynb)"),
        ("[a](../README.md)", "chapters/00_world.ipynb", "[a](../index.md)"),
        ("[a](../../../README.md)", "chapters/labs/solutions/01_heads.ipynb", "[a](../../../index.md)"),
        ("[a](chapters/01_gpt1.ipynb#b)", "index.md", "[a](chapters/01_gpt1.ipynb#b)"),
        ("[a](../minigpt/model.py)", "chapters/00_world.ipynb", "a (`minigpt/model.py`)"),
        ("[`minigpt/model.py`](../minigpt/model.py)", "docs/teaching.md", "`minigpt/model.py`"),
        ("[a](https://example.org/x.md), [b](#c)", "index.md", "[a](https://example.org/x.md), [b](#c)"),
        ("![a](picture.png)", "index.md", "![a](picture.png)"),
    ],
)
def test_links_lead_to_pages_or_are_words(text, page, expected):
    pages = {"chapters/00_world.ipynb", "chapters/01_gpt1.ipynb"}
    assert webbook.relink(text, Path(page), pages) == expected


def test_headings_go_down_one_step_at_a_time():
    text = "# a\n\n### b?\n\n## c\n### d\n```\n# no heading\n##### none\n```\n## e ##\n#### f"
    expected = "# a\n\n**b?**\n\n## c\n### d\n```\n# no heading\n##### none\n```\n## e ##\n**f**"
    assert webbook.level(text) == expected
    assert webbook.level("### first of its cell") == "### first of its cell"


def test_pictures_become_files_and_keep_their_description(tmp_path):
    data = base64.b64encode(DOT).decode()
    markup = f'<figure><img alt="a &lt; b" width="216" src="data:image/png;base64,{data}"></figure>'
    found = webbook.pictures(markup, tmp_path / "pictures", "../")
    (file,) = (tmp_path / "pictures").iterdir()
    assert file.read_bytes() == DOT
    assert found == (
        f'<figure><img alt="a &lt; b" width="216" height="216" loading="lazy" src="../pictures/{file.name}"></figure>'
    )
    wide = webbook.pictures(markup.replace("216", "880"), tmp_path / "pictures", "../")
    assert wide == (
        f'<figure><div class="picture"><img alt="a &lt; b" width="880" height="880" loading="lazy" '
        f'src="../pictures/{file.name}"></div></figure>'
    )


def test_a_table_scrolls_in_a_box_with_its_name():
    found = webbook.boxes("<p>x</p><table>\n<caption>One <em>two</em></caption>\n\n<tr><td>3</td></tr></table>")
    assert found.startswith('<p>x</p><div class="scroll" role="region" tabindex="0" aria-label="One two"><table>')
    assert found.endswith("</table></div>") and "\n\n" not in found


def test_an_explorer_and_a_desk_say_that_they_stand_still_and_a_figure_does_not(tmp_path):
    def shown(plain):
        output = {"output_type": "display_data", "data": {"text/html": ["<p>", "x</p>"], "text/plain": plain}}
        return webbook.output_for_a_page(output, tmp_path, "")["data"]

    assert shown("Explorer: y") == {"text/html": "<p>x</p>" + webbook.MOVES}
    assert shown("RankingDesk: y") == {"text/html": "<p>x</p>" + webbook.DESK}
    assert shown("y") == {"text/html": "<p>x</p>"}


def test_an_explorer_that_plays_has_all_its_pictures_and_a_sentence_for_each(tmp_path):
    frames = [(DOT + bytes([i]), f"Dot {i}, a </script> dot.") for i in range(6)]
    controls = [("which", ["0", "1"], 1), ("how", ["a", "b", "c"], 2)]
    output = {"output_type": "display_data", "data": {"text/html": "<p>x</p>", "text/plain": "Explorer: dots, two"}}
    played = {"Explorer: dots": (controls, lambda: iter(frames))}
    markup = webbook.output_for_a_page(output, tmp_path / "p", "../", played)["data"]["text/html"]
    data = json.loads(re.search(r"json\">(.*)</script></figure>", markup)[1])
    assert data["controls"] == [["which", ["0", "1"], 1], ["how", ["a", "b", "c"], 2]]
    assert [words for _, words in data["frames"]] == [words for _, words in frames]
    files = [(tmp_path / source.removeprefix("../")).read_bytes() for source, _ in data["frames"]]
    assert files == [png for png, _ in frames]
    assert 'alt="Dot 5, a &lt;/script&gt; dot."' in markup and markup.count("</script>") == 1
    with pytest.raises(ValueError, match="expected 6 pictures .* got 5"):
        webbook.player(controls, frames[1:], tmp_path, "")


def test_an_explorer_plays_what_its_notebook_shows():
    import web_explorers

    with_tag = {"tags": ["plays"]}
    imports = "from minigpt import plots\nfrom minigpt.notebook import explorers"
    cells = [
        {"cell_type": "code", "source": imports, "metadata": with_tag},
        {"cell_type": "code", "source": "raise ValueError('a cell that needs a model')", "metadata": {}},
        {"cell_type": "code", "metadata": with_tag, "source": """
def at(q):
    return plots.cost_of_belief(0.7, q, title="x"), f"q = {q:.2f}"


explorers.slider_explorer(at, "q", 0.02, 0.98, 0.01, 0.3, "a dot that moves along the valley", "q, probability")"""},
    ]  # fmt: skip
    before = web_explorers.explorers.Explorer
    found = web_explorers.found_in({"cells": cells})
    assert web_explorers.explorers.Explorer is before
    ((beginning, (((label, values, start),), frames)),) = found.items()
    assert (beginning, label) == ("Explorer: a dot that moves along the valley", "q, probability")
    assert (values[0], values[start], len(values)) == ("0.03", "0.30", 32)
    first, second = (frame for frame, _ in zip(frames(), range(2)))
    assert first[1] == "q = 0.03" and first[0].startswith(b"\x89PNG") and first[0] != second[0]


def test_a_desk_plays_its_first_request_in_all_orders_of_the_answers(tmp_path):
    import web_explorers

    code = """
from matplotlib.figure import Figure
from minigpt.notebook import ranking_desk
def learn(rankings):
    return Figure(), f"Learned from {rankings}."
tasks = [("Write:", [" one", " two", " three"]), ("Tell:", [" four", " five"])]
ranking_desk.RankingDesk(tasks, learn, [(1, 2, 3)], "rank answers, best first")"""
    cell = {"cell_type": "code", "source": code, "metadata": {"tags": ["plays"]}}
    found = web_explorers.found_in({"cells": [cell]})
    (((label, places, start, answers),), frames) = found["RankingDesk: rank answers, best first"]
    assert (label, start, answers) == ("Write:", 0, ["one", "two", "three"])
    assert places[:4] == ["", "1 2 3", "1 3 2", "2 1 3"]
    said = [sentence for _, sentence in frames()]
    assert len(said) == len(places) == 7 and said[0] == "Learned from [(1, 2, 3)]."
    assert said[places.index("3 1 2")] == "Learned from [(2, 3, 1)]."  # the third is best, then the first
    output = {"data": {"text/html": "<p>x</p>", "text/plain": "RankingDesk: rank answers, best first"}}
    markup = webbook.output_for_a_page(output, tmp_path, "", found)["data"]["text/html"]
    assert markup.endswith(webbook.FIRST) and webbook.DESK not in markup and '["one", "two", "three"]]' in markup


def test_a_desk_whose_reward_model_is_a_network_is_stored_and_replayed(tmp_path):
    """The model is asked once for each order; afterwards the same bars are drawn without it."""
    import web_explorers

    code = """
from minigpt import plots
from minigpt.notebook import explorers, ranking_desk
def learn(rankings):
    calls.append(rankings)
    height = {"dogs": float(rankings[0][0]), "cats": float(rankings[0][1]) / 4}
    return plots.bars(list(height), {"gained": list(height.values())}, title="x"), f"Best: {rankings[0].index(1)}."
calls = []
ranking_desk.RankingDesk([("Write:", [" one", " two"])], learn, [(1, 1), (2, 1)], "rank answers, best first")
explorers.prompt_explorer(lambda k: ("a b", [(" a", 0.5)]), [0, 1], " a", "choose one of two numbers, please")"""
    cell = {"cell_type": "code", "source": code, "metadata": {"tags": ["plays"]}}
    stored = web_explorers.store({"cells": [cell]})
    (tmp_path / "a.json").write_text(json.dumps(stored), encoding="utf-8")
    again = web_explorers.replayed(tmp_path / "a.json")["RankingDesk: rank answers, best first"]
    live = web_explorers.found_in({"cells": [cell]})["RankingDesk: rank answers, best first"]
    assert again[0] == live[0] == [("Write:", ["", "1 2", "2 1"], 0, ["one", "two"])]
    assert list(again[1]()) == list(live[1]()) and len({png for png, _ in again[1]()}) == 3


def test_what_an_explorer_was_given_is_stored_and_replayed(tmp_path, monkeypatch):
    """The model is asked once for each place; afterwards its answers are enough, and the pictures are the same."""
    import web_explorers

    code = """
from minigpt.notebook import explorers
ANSWERS = [" cat", " dog"]
def asked(k):
    calls.append(k)
    return f"list{k * ' a b'} c", [(a, p) for a, p in zip(ANSWERS, (0.1 * k, 1 - 0.1 * k))]
calls = []
explorers.prompt_explorer(asked, [0, 1, 2], " cat", "choose one of three numbers of examples, please")"""
    monkeypatch.setitem(web_explorers.KEPT, "choose one of three", {"k": [0, 1, 2]})
    (stored,) = web_explorers.store({"cells": [{"cell_type": "code", "source": code, "metadata": {}}]})
    assert stored["factory"] == "prompt_explorer" and len(stored["given"]["answer"]["answers"]) == 3
    (tmp_path / "a.json").write_text(json.dumps([stored]), encoding="utf-8")
    ((beginning, (controls, frames)),) = web_explorers.replayed(tmp_path / "a.json").items()
    assert beginning.endswith("three numbers of examples, please") and controls[0][1:] == (["0", "1", "2"], 0)
    assert [words.split(" with ")[-1] for _, words in frames()][1] == "0.90; the right one, cat, has 0.10."
    assert len({png for png, _ in frames()}) == 3


@pytest.mark.parametrize(
    ("slider", "expected"),
    [
        ((0, 4, 1, 2), [0, 1, 2, 3, 4]),
        ((-1.3, 1.3, 0.1, -0.5), 27),
        ((0, 100, 1, 51), 34),
        ((0.02, 0.98, 0.01, 0.3), 32),
    ],
)
def test_places_of_a_slider(slider, expected):
    import web_explorers

    found = web_explorers.places(*slider)
    assert found == expected if isinstance(expected, list) else len(found) == expected
    assert len(found) <= web_explorers.MOST and round(slider[3], 9) in found
    assert slider[0] <= min(found) and max(found) <= slider[1]
    assert len({round(b - a, 9) for a, b in zip(found, found[1:])}) == 1


def test_the_explorers_that_play_are_in_the_book():
    """Each is found once, and begins as its notebook does; drawing a picture takes half a second, so few are drawn."""
    import web_explorers

    played = web_explorers.played(ROOT)
    cells = [cell for name in NAMES for cell in workbook.read(ROOT / "chapters" / name)["cells"]]
    stored = [json.dumps(o.get("data", {}), ensure_ascii=False) for c in cells for o in c.get("outputs", [])]
    assert len(played) >= 4
    for beginning, (controls, frames) in played.items():
        assert sum(beginning in each for each in stored) == 1, beginning
        assert controls and all(name and 0 <= start < len(values) > 1 for name, values, start, *_ in controls)
        png, sentence = next(iter(frames()))
        assert png.startswith(b"\x89PNG") and sentence.endswith(".")


def test_what_the_theme_leaves_out_is_added():
    found = webbook.repair('<p class="caption" role="heading"><div class="highlight"><pre>')
    assert found == '<p class="caption" role="heading" aria-level="2"><div class="highlight"><pre tabindex="0">'
    assert webbook.repair('<summary aria-label="Toggle hidden content">Show</summary>') == "<summary>Show</summary>"


def markdown_headings(text: str) -> list[int]:
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.S | re.M)
    return [len(marks) for marks in re.findall(r"^(#{1,6}) ", text, flags=re.M)]


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_every_notebook_makes_a_page(name, tmp_path):
    original = workbook.read(ROOT / "chapters" / name)
    pages = {f"chapters/{name.as_posix()}" for name in NAMES}
    page = webbook.page_of(original, name, pages, tmp_path / "pictures")
    text = json.dumps(page, ensure_ascii=False)
    assert "README.md" not in re.findall(r"\]\(([^)]+)\)", text) and "data:image" not in text
    first = workbook.source(page["cells"][0]).split("\n\n")
    assert first[0].startswith("# ") and first[1].startswith("*Run it yourself:* `python3 start.py`")
    levels = [n for cell in page["cells"] if cell["cell_type"] == "markdown"
              for n in markdown_headings(workbook.source(cell))]  # fmt: skip
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:])), levels
    for cell in page["cells"]:
        folded = cell["metadata"].get("jupyter", {}).get("source_hidden", False)
        assert cell["cell_type"] == "markdown" or ("hide-input" in cell["metadata"]["tags"]) == folded
    pictures = sum(text.count(f"pictures/{file.name}") for file in (tmp_path / "pictures").glob("*"))
    assert pictures == json.dumps(original).count("data:image/png;base64,")
    assert text.count(" alt=") == json.dumps(original).count(" alt=")


def test_every_notebook_is_in_the_table_of_contents():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = {f"chapters/{name.as_posix()}" for name in NAMES} | {"docs/teaching.md"}
    page = webbook.first_page(readme, NAMES, ["docs/teaching.md"], pages)
    trees = re.findall(r"```\{toctree\}\n.*?\n\n(.*?)\n```", page, flags=re.S)
    listed = [line for tree in trees for line in tree.split("\n")]
    assert sorted(listed) == sorted([*pages]) and len(trees) == 4
    assert markdown_headings(page) == [1, 2, 2]
    targets = {target for target in re.findall(r"\]\(([^)#]+)\)", page) if "://" not in target} - {"docs/picture.png"}
    assert targets <= pages and "chapters/00_world.ipynb" in targets


def test_a_table_of_data_is_a_page(tmp_path):
    (tmp_path / "a.csv").write_text('x,y\n"1 < 2",3\n', encoding="utf-8")
    page = webbook.table_page("Title", "Words.", tmp_path / "a.csv")
    assert page.startswith("# Title\n\nWords.\n\n<div") and "<td>1 &lt; 2</td>" in page
    assert page.count('<th scope="col">') == 2 and "\n\n<t" not in page


def test_damaged_and_missing_notebooks_are_named(tmp_path):
    with pytest.raises(ValueError, match="there are none"):
        webbook.sources(ROOT, tmp_path / "a", only=["09_none.ipynb"])
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters" / "00_x.ipynb").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="00_x.ipynb is damaged"):
        webbook.sources(tmp_path, tmp_path / "a")


def settings() -> dict:
    tree = ast.parse((ROOT / "tools" / "web" / "conf.py").read_text(encoding="utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def test_nothing_is_executed_and_nothing_is_fetched():
    found = settings()
    assert found["nb_execution_mode"] == "off" and found["html_math_renderer"] == "mathml"
    files = [path for path in (ROOT / "tools" / "web").rglob("*") if path.suffix in (".css", ".js")]
    own = [path.read_text(encoding="utf-8") for path in files]
    assert own and not any(re.search(r"(url\(|@import|fetch\(|https?:)", text) for text in own)
    assert "/web/" in (ROOT / ".gitignore").read_text(encoding="utf-8").split("\n")


class Page(html.parser.HTMLParser):
    """What a page links to and asks for."""

    def __init__(self, text: str):
        super().__init__()
        self.asks, self.links, self.ids, self.images, self.headings = [], [], set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get("id"))
        self.asks += [attrs[key] for key in ("src",) if key in attrs]
        self.asks += [attrs["href"]] if tag == "link" and "href" in attrs else []
        self.links += [attrs["href"]] if tag == "a" and "href" in attrs else []
        self.images += [attrs] if tag == "img" else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []


def test_the_reader_of_pages_sees_what_is_asked_for():
    page = Page('<link href="a"><script src="b"></script><a href="c" id="d"><img src="e" alt="f"></a><h2>x</h2>')
    assert (page.asks, page.links, page.headings) == (["a", "b", "e"], ["c"], [2]) and "d" in page.ids


@pytest.mark.slow
@pytest.mark.skipif(not SPHINX, reason="not run: the web tools are not installed (python3 start.py web does it)")
def test_two_pages_are_built(tmp_path):
    only = ["00_world.ipynb", "solutions/00_world.ipynb"]
    out = webbook.build(ROOT, tmp_path, only=only)
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in out.rglob("*.html")}
    assert {"index.html", "glossary.html", "symbols.html", "search.html"} <= {path.name for path in pages}
    for path, page in pages.items():
        assert [ask for ask in page.asks if re.match(r"(https?:)?//", ask)] == []
        for target in page.asks + page.links:
            file, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            there = (path.parent / file.split("?")[0]).resolve() if file else path
            assert there.exists(), f"{path.name} leads to {target}"
            assert not anchor or there not in pages or anchor in pages[there].ids, f"{path.name} leads to {target}"
    text = (out / "chapters" / "00_world.html").read_text(encoding="utf-8")
    page = pages[out / "chapters" / "00_world.html"]
    assert text.count("<math ") > 20 and "<details><summary>Answer</summary>" in text and "Run it yourself" in text
    assert 'role="heading">' not in text and '<div class="highlight"><pre>' not in text  # else the theme has changed
    assert 'aria-label="all pages"' in text and 'aria-label="on this page"' in text
    described = [image for image in page.images if len(image.get("alt") or "") >= 20]
    assert len(described) >= 12 and page.headings[0] == 1
    assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:]))


@pytest.mark.slow
@pytest.mark.skipif(not SPHINX, reason="not run: the web tools are not installed (python3 start.py web does it)")
def test_the_sentences_can_be_translated(tmp_path):
    out = webbook.build(ROOT, tmp_path, "gettext", only=["solutions/00_world.ipynb"])
    text = (out / "chapters" / "solutions" / "00_world.pot").read_text(encoding="utf-8")
    assert 'msgid "' in text and "Run it yourself" in text


@pytest.mark.skipif(not SPHINX, reason="not run: the web tools are not installed (python3 start.py web does it)")
def test_every_formula_of_the_book_is_mathml_and_an_unknown_command_is_refused():
    sys.path.insert(0, str(ROOT / "tools" / "web"))
    from mathml import convert

    n = 0
    for name in NAMES:
        for cell in workbook.read(ROOT / "chapters" / name)["cells"]:
            if cell["cell_type"] == "markdown":
                text = re.sub(r"```.*?```|`[^`]*`", "", workbook.source(cell), flags=re.S)
                for block, line in re.findall(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", text, flags=re.S):
                    assert "</math>" in convert(block or line, bool(block))
                    n += 1
    assert n > 300
    with pytest.raises(ValueError, match="MathML"):
        convert(r"a + \nosuchcommand")
