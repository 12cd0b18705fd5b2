"""Train a small GPT on your own text:  python -m minigpt.experiments.own_text my.txt"""

from dataclasses import replace

import numpy as np
import torch

from minigpt import corpus, train
from minigpt.batches import WindowBatches, windows
from minigpt.experiments.dataset import N_VOCAB, TOKENS_PER_BATCH
from minigpt.experiments.sizes import GPT1, PRETRAINING
from minigpt.model import GPT
from minigpt.notebook.progress import progress
from minigpt.tokenizer import Tokenizer, train_bpe


def train_on_text(path, n_steps: int = 1000, seed: int = 0) -> tuple[GPT, Tokenizer, float]:
    """Train the same small GPT-1 on a text file or folder of the reader's: (model, tokenizer, held-out nats per token).

    The last tenth of the text is held out. The floor of real text is unknown: that is why this book has a world.
    Errors: as `corpus.read_text`; a text that is too short for the context is a ValueError.
    """
    text = "\n".join(corpus.read_text(path))
    tokenizer = train_bpe([text], N_VOCAB)
    ids = np.array(tokenizer.encode(text))
    cut = len(ids) * 9 // 10
    n_ctx = 64
    batches = WindowBatches(ids[:cut], n_ctx, TOKENS_PER_BATCH // n_ctx, seed)
    gpt = GPT(replace(GPT1, n_vocab=tokenizer.n_vocab, n_ctx=n_ctx), torch.Generator().manual_seed(seed))
    config = replace(PRETRAINING, n_steps=n_steps, warmup_steps=n_steps // 10)
    for _ in progress(train.train(gpt, batches, config), n_steps, label="your text"):
        pass
    gpt.eval()
    return gpt, tokenizer, train.evaluate(gpt, windows(ids[cut:], n_ctx)).nats_per_token
