"""For pytest, before nbval is loaded: `python -m pytest -p tools.sooner --nbval ...` begins two seconds sooner.

nbval loads nbformat, which loads jsonschema, which builds a grammar for addresses on the web wherever the package for
it is installed. No notebook here needs it. (conftest.py comes too late for this: pytest loads plug-ins before it.)
"""

import sys

sys.modules.setdefault("rfc3987_syntax", None)
