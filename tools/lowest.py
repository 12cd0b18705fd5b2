"""Print the lowest version of everything that pyproject.toml allows, as a constraints file for pip.

    python3 -m venv lowest
    python3 tools/lowest.py > lowest/constraints.txt
    lowest/bin/pip install -c lowest/constraints.txt -e ".[test]"
    lowest/bin/python -m pytest tests
    lowest/bin/python -m pytest --nbval chapters

(The one test that must fail there is the one that compares the installed versions with constraints.txt.)
"""

import re
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
LOWER_BOUND = re.compile(r"""^    ["']([A-Za-z0-9_.-]+)>=([\w.]+)(.*?)["'],""", re.MULTILINE)


def lowest() -> list[str]:
    """One line `name==version` for each dependency, with its marker."""
    text = PYPROJECT.read_text(encoding="utf-8")
    return [f"{name}=={version}{rest}" for name, version, rest in LOWER_BOUND.findall(text)]


if __name__ == "__main__":
    print("\n".join(lowest()))
