"""The web edition in a real browser, where there is one; elsewhere these tests say what is missing.

Two things are tested: tools/web/check.mjs finds each fault of pages that have one, and pages of the book have none.
"""

import importlib.util
import io
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import start

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import webbook  # noqa: E402

CHECK = ROOT / "tools" / "web" / "check.mjs"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
NODE = shutil.which("node")
PACKAGES = all((ROOT / "tools" / "node_modules" / name).exists() for name in ("playwright-core", "axe-core"))
SPHINX = all(importlib.util.find_spec(name) for name in start.NEEDED_FOR_WEB)


def missing(browser=BROWSER, node=NODE, packages=PACKAGES) -> str:
    """What a browser check lacks here, in words; empty if nothing."""
    if not browser:
        return "not run: there is no Chromium here (the variable CHROMIUM may name one)"
    if not node:
        return "not run: there is no Node here, which drives the browser"
    return "" if packages else "not run: the browser check's packages are missing (npm ci --prefix tools)"


needs_a_browser = pytest.mark.skipif(bool(missing()), reason=missing())


def check(folder: Path, *words: str, browser=BROWSER) -> subprocess.CompletedProcess:
    environ = dict(os.environ, CHROMIUM=str(browser))
    command = [NODE, str(CHECK), str(folder), *words]
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=environ, check=False, timeout=900)


def test_what_is_missing_is_said():
    assert "no Chromium" in missing(None, "node", True)
    assert "no Node" in missing("chromium", None, True)
    assert "npm ci" in missing("chromium", "node", False)
    assert missing("chromium", "node", True) == ""


@pytest.mark.skipif(not (NODE and PACKAGES), reason=missing("any", NODE, PACKAGES) or "run")
def test_without_a_browser_nothing_is_called_right(tmp_path):
    found = check(tmp_path, browser=tmp_path / "no-browser")
    assert (found.returncode, found.stdout.split(":")[0]) == (77, "not run") and "no-browser" in found.stdout


GOOD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Good</title>
<meta name="viewport" content="width=device-width"></head><body><main><article><h1 id="a">Good</h1>
<p><a href="good.html#a">itself</a></p></article></main></body></html>"""
FAULTS = {  # kind of fault, as the check names it -> what is put into a page without any
    "links: 2": '<p><a href="nowhere.html">nowhere</a> <a href="good.html#b">no such place</a></p>',
    "console: 1": "<script>throw new Error('planted')</script>",
    "outside: 1": "<script>new Image().src = 'https://example.org/x.png'</script>",
    "failed: 1": "<script>new Image().src = 'not_there.png'</script>",
    "pictures without words: 1": '<img alt="x" src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">',
    "headings: 1": "<h3>no h2 before it</h3>",
    "wider than 360 px: 1": '<p style="width: 900px">wide</p>',
    "print: 1": '<p style="position: fixed; bottom: 0">on every sheet of paper</p>',
    "print: 2": '<div class="scroll" tabindex="0" role="region" aria-label="a table" '
                'style="overflow: auto; width: 200px"><p style="width: 300px">cut off</p></div>',
    "explorers: 1": '<figure class="explorer"><img alt="a picture that has lost its controls" '
                    'src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="></figure>',
    "axe, light: 1": '<p style="color: #ddd; background: #fff">hardly to be read</p>',
    "axe, dark: 1": "<style>@media (prefers-color-scheme: dark) { .d { color: #333; background: #222 } }</style>"
                    '<p class="d">hardly to be read at night</p>',
}  # fmt: skip


@pytest.mark.slow
@needs_a_browser
def test_every_fault_of_a_page_is_found(tmp_path):
    (tmp_path / "good.html").write_text(GOOD, encoding="utf-8")
    found = check(tmp_path)
    assert found.returncode == 0 and "nothing is wrong" in found.stdout, found.stdout + found.stderr
    for i, fault in enumerate(FAULTS.values()):
        (tmp_path / f"bad_{i}.html").write_text(GOOD.replace("</article>", fault + "</article>"), encoding="utf-8")
    found = check(tmp_path)
    assert found.returncode == 1, found.stdout + found.stderr
    told = found.stdout
    for i, kind in enumerate(FAULTS):
        kind = kind.split(":")[0]
        part = told.split(f"\n{kind}: ", 1)[1].split("\n\n")[0] if f"\n{kind}: " in told else ""
        assert f"bad_{i}.html" in part, f"{kind} was not found:\n{told}"
        assert "good.html:" not in part


def player_page(folder: Path, controls: list, script: str) -> str:
    """A page with an explorer of these controls, whose pictures all differ."""
    places = [len(values) for _, values, *_ in controls]
    frames = []
    for i in range(math.prod(places)):
        buffer = io.BytesIO()
        Image.new("RGB", (40, 20), (i, 0, 0)).save(buffer, "PNG")
        frames.append((buffer.getvalue(), f"This is picture number {i} of the explorer."))
    markup = webbook.player(controls, frames, folder / "pictures", "")
    return GOOD.replace("</article>", f"{markup}</article><script>{script}</script>")


@pytest.mark.slow
@needs_a_browser
def test_sliders_boxes_and_desks_play_and_one_that_does_not_is_found(tmp_path):
    script = (ROOT / "tools" / "web" / "static" / "web.js").read_text(encoding="utf-8")
    desk = ("Write:", ["", "1 2 3", "1 3 2", "2 1 3", "2 3 1", "3 1 2", "3 2 1"], 0, ["one", "two", "three"])
    pages = {
        "slider": [("which", ["0", "1", "2"], 1), ("how", ["a", "b"], 1)],
        "box": [("which", ["0", "1"], 0), ("show what came", ["no", "yes"], 1)],
        "desk": [desk],
    }
    (tmp_path / "good.html").write_text(GOOD, encoding="utf-8")  # to which the others have a link
    for name, controls in pages.items():
        (tmp_path / f"{name}.html").write_text(player_page(tmp_path, controls, script), encoding="utf-8")
    found = check(tmp_path)
    assert found.returncode == 0 and "3 explorers" in found.stdout, found.stdout + found.stderr
    planted = {  # an error in the script -> the page on which it is found
        'addEventListener("input", show)': {"slider.html", "box.html"},
        'order.join(" ")': {"desk.html"},
    }
    for part, bad in planted.items():
        assert part in script
        for name, controls in pages.items():
            page = player_page(tmp_path, controls, script.replace(part, "toString()"))
            (tmp_path / f"{name}.html").write_text(page, encoding="utf-8")
        found = check(tmp_path)
        told = found.stdout.split("\nexplorers: ")[1].split("\n\n")[0]
        assert found.returncode == 1 and {f"{name}.html" for name in pages if f"{name}.html" in told} == bad


@pytest.mark.slow
@needs_a_browser
@pytest.mark.skipif(not SPHINX, reason="not run: the web tools are not installed (python3 start.py web does it)")
def test_pages_of_the_book_have_no_fault(tmp_path):
    only = ["00_world.ipynb", "labs/01_heads.ipynb", "solutions/00_world.ipynb"]
    out = webbook.build(ROOT, tmp_path, only=only)
    found = check(out, "index", "chapters")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "nothing is wrong" in found.stdout and f"{len(only) + 2} pages" in found.stdout, found.stdout
