"""Settings of the web edition for Sphinx; tools/webbook.py copies them beside the pages' sources.

Nothing is executed, and no page asks anybody for anything: mathematics is MathML, made here; letters are those of the
reader's computer; the theme's own files are copied beside the pages.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "miniGPT"
author = "The miniGPT authors"
html_title = "miniGPT"
language = "en"
extensions = ["myst_nb", "sphinx_copybutton", "mathml"]
html_math_renderer = "mathml"

nb_execution_mode = "off"
nb_merge_streams = True
nb_mime_priority_overrides = [("gettext", "text/html", 0)]  # outputs are not translated; this only keeps it quiet
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_inline"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["web.css"]
html_js_files = [("web.js", {"defer": "defer"})]
html_extra_path = ["extra"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
copybutton_selector = "div.cell_input pre, div.highlight-default pre, div.highlight-none pre"
copybutton_exclude = ".linenos, .gp"

locale_dirs = ["locale"]  # a translation: web/sources/locale/zh_CN/LC_MESSAGES/*.po
gettext_compact = False
gettext_uuid = False
exclude_patterns = ["static", "extra", "locale"]
