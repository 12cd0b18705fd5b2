"""Chapter 01, section 4. The paper's settings beside ours: every difference, with its reason."""

from minigpt import papers
from minigpt.experiments import dataset
from minigpt.experiments.gpt1.finetuning import BATCH_SIZE, FineTuning
from minigpt.experiments.sizes import GPT1, PRETRAINING


def differences() -> list[tuple[str, str, str, str]]:
    """All settings in which this chapter's GPT-1 differs from the paper's: (what, in the paper, here, why).

    The paper's numbers are those of data/papers, ours those of the configurations that are trained.
    """
    paper = {row["key"]: row["value"] for row in papers.load("gpt1_architecture")}
    tuned = {row["key"]: row["value"] for row in papers.load("gpt1_finetune")}
    how = FineTuning("classification", 32)
    few, many = FineTuning("classification", 16), FineTuning("classification", 1024)
    passes = [each.n_steps * BATCH_SIZE / each.n_labels for each in (few, many)]
    rows = [
        ("text", "BooksCorpus", "36,000 documents of a grammar", "so that the floor is known"),
        ("blocks", paper["n_layers"], GPT1.n_layers, "a laptop; two are enough to copy"),
        ("width d", paper["d_model"], GPT1.d_model, "a laptop"),
        ("heads a block", paper["n_heads"], GPT1.n_heads, "16 numbers a head"),
        ("vocabulary", paper["n_vocab"], GPT1.n_vocab, "a small language"),
        ("tokenizer", "BPE on characters", "BPE on bytes", "one tokenizer for the whole book (it is GPT-2's)"),
        ("context", paper["n_ctx"], GPT1.n_ctx, "our documents are short"),
        ("a sequence is", "512 tokens cut from a book", "one document", "our documents do not continue each other"),
        ("first weights", f"N(0, {paper['init_std']}²)", "N(0, 1/inputs)", "0.02 suits 768 inputs, not 96"),
        ("positions start as", "noise", "sine waves", "so that fewer steps are needed"),
        ("dropout", paper["dropout"], GPT1.dropout, "every text is read only once"),
        ("tokens a batch", paper["batch_tokens"], dataset.TOKENS_PER_BATCH, "more updates from the same text"),
        ("epochs", paper["epochs"], 1, "the grammar writes as much as we like"),
        ("learning rate", paper["max_lr"], PRETRAINING.lr, "small models take larger steps"),
        ("warm-up, updates", paper["warmup_steps"], 60, "the run is shorter"),
        ("rate at the end", "0", f"{PRETRAINING.final_lr_fraction:.0%} of the peak", "a habit of later papers"),
        ("Adam's betas", "not printed", f"{PRETRAINING.betas[0]}, {PRETRAINING.betas[1]}", "the second for short runs"),
        ("clipping of gradients", "not mentioned", f"norm {PRETRAINING.clip_norm:g}", "GPT-3 prints it"),
        ("fine-tuning: learning rate", tuned["lr"], how.lr, "small models take larger steps"),
        ("fine-tuning: examples a batch", tuned["batch"], BATCH_SIZE, "label sets as small as 16"),
        ("fine-tuning: passes", tuned["epochs"], f"{passes[0]:.0f} to {passes[1]:.0f}", "few labels need many passes"),
        ("fine-tuning: warm-up", "0.2 % of the updates", "10 %", "the runs are short"),
        ("fine-tuning: dropout at W_y", tuned["dropout"], 0.0, "no gain was looked for"),
        ("fine-tuning: weight λ of L1", tuned["aux_weight"], how.aux_weight, "0.5 was no better here (lab on transfer)"),
    ]  # fmt: skip
    return [tuple(f"{value:,}" if isinstance(value, int) else str(value) for value in row) for row in rows]
