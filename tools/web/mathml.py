"""Sphinx extension: mathematics as MathML, made when the pages are built, so that a page needs no program for it."""

import html

from docutils import nodes
from latex2mathml.converter import convert as tex2mathml


def convert(tex: str, block: bool = False) -> str:
    """MathML of a formula in TeX, with the TeX for those who copy it.

    Errors: ValueError for a formula with a command that has no MathML here.
    """
    tex = " ".join(tex.split())
    mathml = tex2mathml(tex, display="block" if block else "inline").replace("\\_", "_")  # an underscore in \text
    if "\\" in html.unescape(mathml):
        raise ValueError(f"expected a formula that can be written as MathML; got {tex!r}")
    return mathml.replace("<math ", f'<math alttext="{html.escape(tex)}" ', 1)


def inline(self, node) -> None:
    """Write a formula in a line."""
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block(self, node) -> None:
    """Write a formula on a line of its own; one that is too wide scrolls in its box."""
    self.body.append(f'<div class="math" tabindex="0" role="group" aria-label="formula">{convert(node.astext(), True)}')
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app) -> dict:
    """Register the renderer under the name "mathml"."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
