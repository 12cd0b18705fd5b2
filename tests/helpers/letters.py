"""Short documents, a tokenizer that cuts them into bytes, and where a real text may lie."""

import random
from pathlib import Path

from minigpt.tokenizer import Tokenizer

BYTES = Tokenizer({bytes([byte]): byte for byte in range(256)})
SHARED = Path(__file__).parents[3] / "shared" / "data" / "tinyshakespeare.txt"


def draw_documents():
    """300 documents of 1 to 30 different-looking letters, so that each can be told from the others."""
    rng = random.Random(0)
    return [f"{i} " + "".join(rng.choice("abcdefg ") for _ in range(rng.randrange(28))) for i in range(300)]
