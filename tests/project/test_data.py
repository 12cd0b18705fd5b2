"""data/: every file is described in data/README.md, and is byte for byte what it says there.

    python tests/project/test_data.py

draws the stories and takes all checksums again, after the world or a table has been changed on purpose.
"""

import hashlib
import random
import re
from pathlib import Path

import pytest

from minigpt.io.files import write_file
from minigpt.worlds import grammar
from minigpt.worlds import stories as story_world

DATA = Path(__file__).parents[2] / "data"
README = DATA / "README.md"
ROW = r"^\| `([\w./]+)` \| `([0-9a-f]*)` \|$"


def fixed_files() -> list[Path]:
    """Everything in data/ but what benchmarks write and the read-me files (a file cannot hold its own checksum)."""
    found = sorted(path for path in DATA.rglob("*") if path.is_file() and not path.name.startswith("."))
    return [path for path in found if "measured" not in path.parts and path.name != "README.md"]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def drawn() -> bytes:
    """The stories that data/README.md says it drew."""
    [(n, seed)] = re.findall(
        r"documents\((\d+), random\.Random\((\d+)\), stories\.STORYBOOK\)", README.read_text("utf-8")
    )
    documents = story_world.documents(int(n), random.Random(int(seed)), story_world.STORYBOOK)
    return ("\n\n".join(documents) + "\n").encode("utf-8")


def checksums() -> dict[str, str]:
    """Name -> SHA-256 as it should stand in data/README.md: the two mixtures of the world, then the files."""
    world_sums = {}
    for name in ("STORYBOOK", "EVERYTHING"):
        documents = story_world.documents(2000, random.Random(2018), getattr(story_world, name))
        world_sums[f"stories.{name}"] = sha256("\n\n".join(documents).encode("utf-8"))
    return world_sums | {path.relative_to(DATA).as_posix(): sha256(path.read_bytes()) for path in fixed_files()}


def write() -> None:
    """Draw data/stories.txt and write every checksum into data/README.md."""
    write_file(DATA / "stories.txt", drawn())
    text, sums = README.read_text(encoding="utf-8"), checksums()
    head, _ = text.split("## Checksums\n")
    for name in ("stories.STORYBOOK", "stories.EVERYTHING"):
        head = re.sub(rf"(`{name}` \| `)[0-9a-f]*`", rf"\g<1>{sums.pop(name)}`", head)
    rows = "".join(f"| `{name}` | `{sum_}` |\n" for name, sum_ in sums.items())
    write_file(README, f"{head}## Checksums\n\n| file | SHA-256 |\n|---|---|\n{rows}".encode())


def test_every_checksum_is_right():
    written = dict(re.findall(ROW, README.read_text(encoding="utf-8"), flags=re.MULTILINE))
    expected = checksums()
    assert set(written) == set(expected), "run python tests/project/test_data.py if a file was added or removed on purpose"
    wrong = [name for name in expected if written[name] != expected[name]]
    assert not wrong, f"run python tests/project/test_data.py if these were changed on purpose: {wrong}"


def test_the_stories_are_those_of_the_seed():
    text = (DATA / "stories.txt").read_bytes()
    assert text == drawn()
    stories = text.decode("utf-8").removesuffix("\n").split("\n\n")
    kinds = {kind for story in stories for kind in grammar.score(story_world.program(), story).by_value}
    assert len(stories) == 12 and len(kinds) >= 4  # something of most kinds to read


@pytest.mark.parametrize(
    "path", [p for p in sorted(DATA.rglob("*")) if p.suffix in (".csv", ".txt", ".md")], ids=lambda p: p.name
)
def test_files_are_utf_8_with_line_feeds(path):
    data = path.read_bytes()
    assert data.decode("utf-8").strip() and b"\r" not in data and data.endswith(b"\n") and not data.startswith(b"\xef")


def test_every_folder_has_its_rows():
    text = README.read_text(encoding="utf-8")
    for folder in {path.parent for path in DATA.rglob("*.csv")}:
        assert f"`{folder.relative_to(DATA).as_posix()}/*.csv`" in text
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (DATA / link).exists(), link


if __name__ == "__main__":
    write()
