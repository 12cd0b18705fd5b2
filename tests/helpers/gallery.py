"""One example of each drawing, and what every figure must keep: words on the page, large enough, none over another."""

import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from minigpt import plots

SIZES = {"n_vocab": 1024, "n_ctx": 256, "n_layers": 2, "n_heads": 6, "d_model": 96}
GPT1 = {"n_vocab": 40478, "n_ctx": 512, "n_layers": 12, "n_heads": 12, "d_model": 768}
WORDS = ["Tom", " found", " a", " red", " hat"]

ISOFLOPS = {
    C: (np.array([4e3, 8e3, 2e4, 6e4]) * (C / 2e9) ** 0.4, np.array([0.4, 0.3, 0.33, 0.5]) * (C / 2e9) ** -0.25)
    for C in (2e9, 4.6e9, 1e10, 2.2e10, 4.6e10, 1e11)
}
PREDICTED = [(1.4 + 0.02 * i, 1.3 + 0.03 * i, 1.5 + 0.04 * i, 1.45, 1.3) for i in range(10)]


def task(low, high, spread, seed):
    """{x: five values}: a learning curve from low to high."""
    draws = np.random.default_rng(seed)
    means = np.linspace(low, high, 4)
    return {x: np.clip(mean + spread * draws.standard_normal(5), 0, 1) for x, mean in zip((16, 64, 256, 1024), means)}


def head():
    """A head of attention on five words: X, Q, K, scores, weights, V, out."""
    draws = np.random.default_rng(0)
    X = draws.standard_normal((5, 4)).round(2)
    Q, K, V = (X @ draws.standard_normal((4, 2)) / 2 for _ in range(3))
    scores = np.where(np.tri(5, dtype=bool), Q @ K.T / 2**0.5, -np.inf)
    weights = np.exp(scores)
    weights /= weights.sum(1, keepdims=True)
    return X, Q, K, scores, weights, V, weights @ V


def tasks():
    panels = {
        name: {"fine-tuned": task(a, b, 0.06, i), "from scratch": task(0.5 * a, b - 0.2, 0.03, i + 9)}
        for i, (name, a, b) in enumerate(
            [("classification", 0.8, 0.96), ("entailment", 0.5, 0.9), ("similarity", 0.5, 0.85), ("choice", 0.4, 0.9)]
        )
    }
    references = {name: {"chance": 0.5, "majority": 0.5 + 0.02 * i, "zero-shot": 0.55, "best possible": 0.97}
                  for i, name in enumerate(panels)}  # fmt: skip
    return panels, references


def clouds():
    draws = np.random.default_rng(1)
    names = (
        "happy sad angry calm proud fox owl crab hen dog Tom Mia Ann Sam Bob star hat key cup red blue green".split()
    )
    groups = ["moods"] * 5 + ["animals"] * 5 + ["names"] * 5 + ["objects"] * 4 + ["colours"] * 3
    centres = dict(zip(dict.fromkeys(groups), [(0, 3), (3, 0), (-3, 0), (2, -3), (-2, -3)]))
    before = draws.standard_normal((len(names), 2))
    after = np.array([centres[group] for group in groups]) + 0.45 * draws.standard_normal((len(names), 2))
    return before, after, names, groups


GLUE = {
    task: {"GPT-1": a, "BERT base": b, "BERT large": c}
    for task, a, b, c in [
        ("MNLI matched", 82.1, 84.6, 86.7), ("MNLI mismatched", 81.4, 83.4, 85.9), ("QQP", 70.3, 71.2, 72.1),
        ("QNLI", 87.4, 90.5, 92.7), ("SST-2", 91.3, 93.5, 94.9), ("CoLA", 45.4, 52.1, 60.5),
        ("STS-B", 80.0, 85.8, 86.5), ("MRPC", 82.3, 88.9, 89.3), ("RTE", 56.0, 66.4, 70.1),
    ]
}  # fmt: skip

EFFECTS = {
    "Pre-training helps on classification": [0.2, 0.25, 0.22, 0.3, 0.27],
    "The auxiliary objective helps": [0.01, -0.02, 0.0, 0.03, 0.01],
    "A Transformer transfers better than an LSTM": [0.05, 0.15, 0.02, 0.4, -0.1],
    "once": [0.1],
}
STEPS = np.arange(0, 400, 4)
LOSSES = 1.3 + 4 * np.exp(-STEPS / 60)
FOLLOWING = {" hat": 0.5, " key": 0.3, " cup": 0.15, "": 0.05}

SHARES = np.array([[0.02, 0.03, 0.05, 0.11, 0.04, 0.02], [0.06, 0.71, 0.01, 0.12, 0.0, 0.08]])
SILENCED = np.array([[0.0, 0.01, -0.02, 0.1, 0.0, 0.0], [0.05, 4.83, 0.0, 0.2, 0.0, 0.01]])
WHEN = np.array([0, 45, 90, 180, 360, 720, 1440, 2880])
KINDS = {
    "flawless": [0, 0, 0, 0.01, 0.1, 0.3, 0.5, 0.7], "wrong object": [0, 0, 0.05, 0.2, 0.4, 0.3, 0.2, 0.1],
    "contradiction": [0, 0, 0.1, 0.3, 0.3, 0.3, 0.25, 0.19], "not a sentence": [1, 1, 0.85, 0.49, 0.2, 0.1, 0.05, 0.01],
}  # fmt: skip
SPLIT = [("Tom", ["Tom"], [812]), (" was", [" was"], [66]), (" unhappy", [" un", "happ", "y"], [301, 1005, 89])]
TREE = {
    "Tom": (0.5, {" found": (0.6, {" a hat": (0.5, {}), " a key": (0.5, {})}), " slept": (0.4, {})}),
    "Mia": (0.3, {" sang": (1.0, {})}),
}
EVENTS = [
    ("2017-06", "Transformer", "encoder and decoder"), ("2018-06-11", "GPT-1", "117M parameters"),
    ("2018-10", "BERT", "110M and 340M"), ("2019-02-14", "GPT-2", "1.5B"), ("2020-01", "Scaling laws", ""),
    ("2020-05-28", "GPT-3", "175B"), ("2022-01-27", "InstructGPT", "1.3B to 175B"), ("2022-03", "Chinchilla", "70B"),
    ("2022-11-30", "ChatGPT", ""), ("2023-03-14", "GPT-4", "size not published"), ("2023-03-17", "GPTs are GPTs", ""),
    ("2024-04", "Chinchilla replicated", ""),
]  # fmt: skip
MANY = [
    ("2017-06", "Transformer: Attention Is All You Need"), ("2018-06-11", "GPT-1: paper and announcement"),
    ("2018-10", "BERT"), ("2019-02-14", "GPT-2: paper, and the first of the staged releases"),
    ("2019-11", "GPT-2: the largest model's weights are released"), ("2020-01", "Scaling laws (Kaplan and others)"),
    ("2020-05-28", "GPT-3"), ("2022-01-27", "InstructGPT: announcement"), ("2022-03-04", "InstructGPT: paper"),
    ("2022-03", "Chinchilla"), ("2022-11-30", "ChatGPT"), ("2023-03-14", "GPT-4: launch and report"),
    ("2023-03-17", "GPTs are GPTs"), ("2024-04", "Chinchilla replicated (Besiroglu and others)"),
]  # fmt: skip
PROFILES = {
    "post-LN": np.geomspace(0.01, 1, 12) * np.array([[0.9], [1.0], [1.1]]), "pre-LN": np.geomspace(0.3, 0.1, 12),
    "pre-LN, scaled": np.geomspace(0.25, 0.12, 6),
}  # fmt: skip
ASKED = [
    ("classification", 4, "Mia lost her hat. She looked for it all day. How does Mia feel?", "sad"),
    ("entailment", 3, "Tom has a red hat. Question: Tom has a hat. True or false?", "true"),
    ("similarity", 2, "Tom sings. Mia hears a song by Tom. Do the two say the same? Answer:", "no"),
    ("multiple choice", 1, "The fox found a key, a very old one, and so it opened the", "door"),
]  # fmt: skip
PAIRS = [("goat", "meadow"), ("fox", "forest"), ("crab", "beach")]
TOKENS = [" hat", " key", " cup", " star", " red", " blue", " elephant", " ball", " bell", " tree", ""]
TOKENS += [" x", " y", " z", "!"]
LANGUAGE = np.array([40, 25, 10, 8, 5, 4, 2, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]) / 100


def heated(*temperatures):
    """{"T = 0.5": probabilities, ...}."""
    powers = {f"T = {t:g}": LANGUAGE ** (1 / t) for t in temperatures}
    return {name: values / values.sum() for name, values in powers.items()}


WAYS = {
    "greedy": (0.02, 0.75), "T 0.5": (0.6, 0.8), "T 0.7": (0.8, 0.75), "T 1": (0.93, 0.62), "T 1.5": (0.99, 0.05),
    "top-k 2": (0.7, 0.78), "top-k 8": (0.91, 0.66), "top-k 40": (0.93, 0.63), "top-p 0.9": (0.9, 0.67),
    "top-p 0.95": (0.92, 0.65), "beam 4": (0.01, 0.85),
}  # fmt: skip
SKILLS = {
    heading: {f"d = {d}": {x: [start + rise * (x / 1e6) ** power * f + 0.002 * d for f in (0.9, 1.0, 1.1)]
                           for x in (1e5, 3e5, 1e6, 3e6)} for d in (16, 64)}
    for heading, start, rise, power in (
        ("loss − floor", 0.0, 0.1, -0.5), ("log P(answer)", -3.0, 1.0, 0.3), ("accuracy", 0.2, 0.1, 1.0))
}  # fmt: skip
RUN = np.arange(1, 4500, 10)


def run():
    draws = np.random.default_rng(2)
    true = 0.66 + 6.0 * RUN**-0.65
    return {"training": (RUN, true + 0.05 * draws.standard_normal(len(RUN))), "held out": (RUN[9::20], true[9::20])}


RL_PANELS = ("kl", "reward", "length", "clip_fraction", "entropy", "explained_variance")
TILTED = np.full(30, 1 / 30), np.exp(np.linspace(-4, 4, 30)) / np.exp(np.linspace(-4, 4, 30)).sum()

SQUARES = np.kron(np.random.default_rng(3).random((4, 4, 3)), np.ones((4, 4, 1)))
FLOPS = np.geomspace(1e9, 6e10, 6)
BITS = 1.5 + 0.6 * (FLOPS / 1e9) ** -0.24

GALLERY = {
    "task_panels": lambda: plots.task_panels(*tasks(), title="Pre-training helps most with few labels", guess=0.7),
    "task_panels_three": lambda: plots.task_panels(
        {str(i): {"a": {2: [0.1, 0.2], 4: [0.3]}} for i in range(3)}, {"chance": 0.25}, n_columns=3
    ),
    "shifted_targets": lambda: plots.shifted_targets(
        ["Once", " upon", " a", " time", " a", " fox", " found", " a", ""], [3.2, 0.02, 0.01, 0.4, 2.1, 3.05, 0.9, 5.7],
        [3.0, 0.0, 0.0, 0.3, 2.0, 2.9, 0.9, 5.5], title="Every position has a target: the next token"),
    "shifted_targets_long": lambda: plots.shifted_targets(["something"] * 30, np.linspace(0, 2, 29)),
    "shifted_targets_plain": lambda: plots.shifted_targets(["a", "b"]),
    "head_steps": lambda: plots.head_steps(WORDS, *head(), title="One head: five words, two numbers each"),
    "stack": lambda: plots.transformer_stack(SIZES, 360_000, title="GPT-1 in this book: two blocks of width 96"),
    "stack_pre": lambda: plots.transformer_stack(SIZES, norm="pre", title="GPT-2: LayerNorm before each step"),
    "stacks": lambda: plots.transformer_stack(
        SIZES, (360_000, 360_192), beside="pre", title="Post-LN (GPT-1) and pre-LN (GPT-2)"
    ),
    "stack_paper": lambda: plots.transformer_stack(GPT1, 116_534_784, title="GPT-1 as in the paper"),
    "stacks_paper": lambda: plots.transformer_stack(
        GPT1, (116_534_784, 1_557_611_200), beside=GPT1 | {"n_layers": 48, "norm": "pre", "d_model": 1500}
    ),
    "effects_many": lambda: plots.effects(
        {f"claim number {i} of many, with a longer text in it": [0.1 * i - 0.5, 0.2] for i in range(10)}, x_label="x"
    ),
    "split_heads": lambda: plots.split_heads(96, 6, title="Six heads share 96 numbers"),
    "masks_and_inputs": lambda: plots.masks_and_inputs(WORDS, [1, 3], title="GPT predicts, BERT restores"),
    "masks_eight": lambda: plots.masks_and_inputs(["Once", " upon", " a", " time", " a", " fox", " found", " it"]),
    "pretrain_finetune": lambda: plots.pretrain_finetune(
        {"text": "6,000 stories, 720,000 tokens, no labels", "labels": "16 to 1,024 of each task",
         "pre-training": "347,000 parameters"}, title="Learn from text first, then from few labels"),
    "pretrain_finetune_plain": lambda: plots.pretrain_finetune(tasks=("mood", "order")),
    "embedding_map": lambda: plots.embedding_map(*clouds(), title="Training sorts the words by what they mean"),
    "score_dots": lambda: plots.score_dots(GLUE, x_label="score on the test set", title="BERT is ahead on all nine"),
    "score_dots_seeds": lambda: plots.score_dots(
        {"mood": {"GPT": 0.8, "BERT": 0.9}, "similarity of two texts": {"GPT": 0.6, "BERT": 0.75}}, x_label="accuracy",
        seeds={"mood": {"GPT": [0.7, 0.8, 0.9]}}, digits=2, guess=0.7, title="T",
        references={"best possible": 0.97, "mood": {"chance": 0.25}, "similarity of two texts": {"chance": 0.5}}),
    "effects": lambda: plots.effects(
        EFFECTS, x_label="difference of accuracies", margin=0.05, limits=(-1, 1), title="Two are clear", guess=0.1
    ),
    "guess_loss": lambda: plots.loss_curve({"GPT": (STEPS, LOSSES)}, 1.29, {"unigram": 4.3}, guess=2.0),
    "guess_lines": lambda: plots.lines({"a": (STEPS, LOSSES)}, x_label="x", y_label="y", guess=2),
    "guess_bars": lambda: plots.bars(["a", "b"], {"x": [0.5, 0.7]}, chance=0.5, guess=0.6),
    "guess_next_word": lambda: plots.next_word("Tom has a", FOLLOWING, " hat", guess=0.4, title="T"),
    "guess_next_word_high": lambda: plots.next_word("Tom has a", FOLLOWING, guess=0.95),
    "head_grids": lambda: plots.head_grids(SHARES, SILENCED, title="The head that looks back is the one that matters"),
    "head_grids_large": lambda: plots.head_grids(np.eye(8), np.eye(8)),
    "stacked_shares": lambda: plots.stacked_shares(WHEN, KINDS, title="Sentences come first, the object last"),
    "text_to_tokens": lambda: plots.text_to_tokens(SPLIT, title="Frequent words are one token, rare ones several"),
    "text_to_tokens_short": lambda: plots.text_to_tokens([("a", ["a"], [1023])]),
    "continuation_tree": lambda: plots.continuation_tree(TREE, title="A page is a path"),
    "timeline": lambda: plots.timeline(EVENTS, marked=("GPT-1",), title="Seven years"),
    "timeline_many": lambda: plots.timeline(MANY, title="All of the file"),
    "training_panels": lambda: plots.training_panels(
        run(), 0.64, {"unigram": 4.3, "trigram": 1.2}, n_vocab=1024, smooth=5, guess=0.8, title="Near the floor"),
    "block_orders": lambda: plots.block_orders(SIZES, title="Pre-LN leaves the residual stream alone"),
    "block_orders_one": lambda: plots.block_orders(GPT1, norms=("pre",)),
    "gradient_profile": lambda: plots.gradient_profile(PROFILES, title="Before training", guess=0.3),
    "task_heads_and_text": lambda: plots.task_heads_and_text(ASKED, 96, title="The task moves into the text"),
    "task_heads_and_text_one": lambda: plots.task_heads_and_text(ASKED[:1], 12288),
    "task_heads_and_text_five": lambda: plots.task_heads_and_text([*ASKED, ("mood again", 12, "How?", "well")], 768),
    "shots": lambda: plots.shots(
        PAIRS, "owl", "barn", instruction="Each animal and where it lives.", title="Only tuning"
    ),
    "shots_five": lambda: plots.shots(PAIRS * 2, "owl", "barn", instruction="Say", n=5, written="the {} lives in {}"),
    "induction_steps": lambda: plots.induction_steps(
        ["goat", " meadow", " fox", " forest", " owl", " barn", " fox"], heads=("layer 1, head 3", "layer 2, head 1"),
        title="Two heads are enough to continue a pattern"),
    "induction_steps_short": lambda: plots.induction_steps(["A", "B", "C", "A"]),
    "temperature_bars": lambda: plots.temperature_bars(TOKENS, heated(0.5, 1, 1.5), LANGUAGE, title="Heat", guess=0.4),
    "temperature_bars_few": lambda: plots.temperature_bars(TOKENS[:2], {"a": [0.5, 0.5]}),
    "nucleus": lambda: plots.nucleus(TOKENS, LANGUAGE, title="Top-p 0.9 keeps as many as it needs"),
    "nucleus_both": lambda: plots.nucleus(TOKENS, LANGUAGE, top_p=0.7, top_k=5, n=14),
    "nucleus_k": lambda: plots.nucleus(TOKENS, LANGUAGE, top_p=None, top_k=2),
    "quality_diversity": lambda: plots.quality_diversity(
        WAYS, (0.93, 1.0), kinds={name: name.split(" ")[0] for name in WAYS}, title="No setting reaches the star"),
    "quality_diversity_seeds": lambda: plots.quality_diversity({"one": ([0.1, 0.2], [0.5, 0.6]), "two": (0.15, 0.5)}),
    "stacked_panels": lambda: plots.stacked_panels(
        SKILLS, {"accuracy": {"chance": 0.25, "best possible": 1.0}}, x_label="training tokens",
        log_y=("loss − floor",), limits={"accuracy": (0, 1.03)}, guess={"accuracy": 0.5},
        title="The loss falls smoothly, the accuracy jumps"),
    "stacked_panels_one": lambda: plots.stacked_panels(
        {"accuracy": {"a": {0: [0.1, 0.2], 8: [0.5], 16: [0.9]}}}, x_label="width", log_x=False),
    "stacked_panels_four": lambda: plots.stacked_panels(
        {str(i): {"a": {0: [0.1, 0.2], 1: [0.15], 2: [0.3], 64: [0.5]}} for i in range(4)}, x_label="x"),
    "dose": lambda: plots.task_panels(
        {name: {"pre-LN": {0: [0.2, 0.3], 10: [0.25], 100: [0.6, 0.4], 1000: [0.9, 0.95]}} for name in ("a", "mood")},
        {"chance": 0.25, "shortcut": 0.4, "best possible": 1.0}, x_label="demonstrations", zero=True, title="Dose"),
    "dose_curve": lambda: plots.task_panels(
        {name: {"d = 64": {k: [0.1 * k**0.5 + 0.25, 0.3] for k in (0, 1, 2, 4, 8, 16)}} for name in ("symbols", "x")},
        {"chance": 0.25, "symbols": {"best possible": {0: 0.25, 1: 0.5, 2: 0.7, 4: 0.9, 8: 1.0, 16: 1.0}}},
        x_label="examples in the prompt, K", zero=True),
    "lines_hero": lambda: plots.lines(
        {"a": ([0, 1, 2, 4, 8], [0.1, 0.2, 0.3, 0.3, 0.4]), "attention": ([0, 1, 2, 4, 8], [0, 0, 0.1, 0.8, 0.9]),
         "b": ([0, 1, 2, 4, 8], [0.2] * 5)}, x_label="x", y_label="y", log_x=True, hero="attention"),
    "model_parallelism": lambda: plots.model_parallelism(title="Three ways to divide a model"),
    "model_parallelism_two": lambda: plots.model_parallelism(6, 2),
    "workers": lambda: plots.data_parallel(4, 4, 2, 2048, title="One step"),
    "prompt_answers_best": lambda: plots.prompt_answers(
        "goat meadow fox forest owl", [(" barn", 0.6), (" sea", 0.3), (" hat", 0.01)], " barn",
        best=[(" barn", 0.9), (" cave", 0.1)], title="K = 2"),
    "next_token_bars_truth": lambda: plots.next_token_bars(
        TOKENS, LANGUAGE, heated(0.7)["T = 0.7"], truth=LANGUAGE[::-1], whole=False, title="temperature 0.7"),
    "split_heads_many": lambda: plots.split_heads(768, 12),
    "image_and_words": lambda: plots.image_and_words(
        SQUARES, 4, ["<begin>", "what", "colour", "is", "the", "square", "?", "?"], "yellow",
        title="An image becomes tokens, and comes before the words"),
    "image_and_words_two": lambda: plots.image_and_words(SQUARES[:8], 8, ["what"]),
    "occlusion_maps": lambda: plots.occlusion_maps(
        [SQUARES] * 3, [np.linspace(-1, 5, 16).reshape(4, 4)] * 3, ["what colour is the triangle? yellow"] * 3,
        title="Covering the thing that is asked for takes the answer away"),
    "occlusion_maps_one": lambda: plots.occlusion_maps([SQUARES], [np.zeros((2, 2))], ["how many? two"]),
    "grouped_ranges": lambda: plots.grouped_ranges(
        {f"Group {i}": {f"AP English Language {j}": {"GPT-3.5": (10, 30 + j), "GPT-4 without images": 50 + j,
                                                     "GPT-4": (60, 100)} for j in range(6)} for i in range(4)},
        x_label="percentile of human takers", references={"median": 50}, guess=70, title="Top marks in most exams"),
    "grouped_ranges_one": lambda: plots.grouped_ranges({"all": {"one": {"x": 3}}}, x_label="score", limits=(0, 5)),
    "rule_flow": lambda: plots.rule_flow(
        {"forbidden request": {"refusal in the desired style": 2, "refusal in another style": 1, "disallowed content": -2,
                               "safe answer": None},
         "allowed request": {"refusal in the desired style": -2, "refusal in another style": -2,
                             "disallowed content": None, "safe answer": 0}}, title="The rule looks at both"),
    "rule_flow_one": lambda: plots.rule_flow({"any": {"good": 1.5}}),
    "final_run": lambda: plots.final_run(
        3e12, (FLOPS, BITS), (FLOPS, BITS), (1.55, 1.65), 1.6, 1.52, others={"left out": ([3e8], [2.4])}, guess=1.8,
        title="Predicted, then trained"),
    "final_run_report": lambda: plots.final_run(
        1.0, came=1.25, span=(1e-10, 1e-4, "the runs that were fitted lie here"), y_limits=(1, 6), came_label="GPT-4",
        title="The report's Figure 1: a law through runs of at most 1/10,000 of the compute"),
    "equal_areas": lambda: plots.equal_areas(
        {"small, reads much": (10, 8), "in between": (20, 4), "large, reads little": (80, 1)}, title="One compute"),
    "slopes": lambda: plots.slopes(
        {"ζ = 1.3": (FLOPS, BITS - 1.5), "ζ = 2": (FLOPS, (BITS - 1.5) ** 1.5)}, {"ζ = 1.3": -0.24, "ζ = 2": -0.36},
        title="Slopes as derived"),
    "rlhf_steps": lambda: plots.rlhf_steps(
        "Write a sad story about a fox and a bell:",
        "Once there was a fox. One night he found a bell, and he felt so lonely that he wept.",
        {"SFT": "600 demonstrations, 16 epochs (paper: about 13,000)",
         "reward model": "3,200 prompts, 4 to 9 answers each (paper: 33,000)",
         "PPO": "150 iterations of 64 answers, β = 0.05 (paper: 500 of 512, 0.02)"}, title="Show, rank, reinforce"),
    "rlhf_steps_plain": lambda: plots.rlhf_steps("x", "y", ranking="B > A"),
    "ppo_networks": lambda: plots.ppo_networks(
        dict.fromkeys(("policy", "reference", "reward model", "value"), "146,000 parameters"), title="Two are frozen"),
    "ppo_networks_plain": lambda: plots.ppo_networks(),
    "tilt_bars": lambda: plots.tilt_bars(
        [f"answer {i} (end)" for i in range(30)], TILTED[0], TILTED[1], np.linspace(-2, 2, 30), title="At β = 0.5"),
    "tilt_bars_two": lambda: plots.tilt_bars(["yes", "no"], [0.5, 0.5], [0.9, 0.1], shown=[1, 0], limit=1),
    "rollout_timeline": lambda: plots.rollout_timeline(
        [" It", " felt", " glad", ""], {"log π": [-1, -0.5, -0.2, -0.1], "log π_SFT": [-1.5, -0.5, -0.8, -0.1],
                                        "log-ratio": [0.5, 0, 0.6, 0], "R_t": [-0.25, 0, -0.3, 2],
                                        "V_t": [1, 1.2, 1.5, 1.8], "δ_t": [-0.05, 0.3, 0, 0.2],
                                        "A_t": [0.4, 0.45, 0.2, 0.2]}, title="One answer, token by token"),
    "rollout_timeline_long": lambda: plots.rollout_timeline(
        [" something"] * 20, {"log π": -np.ones(20), "A_t\nwith λ": np.linspace(-1, 1, 20)}),
    "dashboard": lambda: plots.dashboard(
        {key: np.sin(np.arange(40) / 9) for key in RL_PANELS},
        {key: np.sin(np.arange(40) / 9) + np.array([[0.0], [0.1], [0.2]]) for key in RL_PANELS}, title="Run C"),
    "dashboard_one": lambda: plots.dashboard({"kl": [1, 2]}, panels={"kl": "KL"}),
    "dashboard_nine": lambda: plots.dashboard({f"{i}": [1, 2, i] for i in range(9)},
                                              panels={f"{i}": f"quantity {i}" for i in range(9)}),
    "isoflop_profiles": lambda: plots.isoflop_profiles(
        ISOFLOPS, {C: (N[1], L[1]) for C, (N, L) in ISOFLOPS.items()}, lambda C: 0.3 * C**0.45, 0.385, title="Minima"),
    "isoflop_profiles_plain": lambda: plots.isoflop_profiles(dict(list(ISOFLOPS.items())[:2]), {}),
    "interval_ranks": lambda: plots.interval_ranks(
        {"no change": PREDICTED, "floor, rough exponent": PREDICTED, "with a floor": PREDICTED, "no floor": PREDICTED},
        [f"ladder {i}" for i in range(10)], title="With a floor most intervals hold", guess=1.5),
    "interval_ranks_one": lambda: plots.interval_ranks({"mine": PREDICTED[:2]}, ["A", "B"]),
}  # fmt: skip


def drawn(figure: Figure):
    """The figure's renderer, after everything has found its place."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def visible_texts(figure: Figure) -> list[Text]:
    """Every text that can be seen: no empty ones, no ticks outside the axes or in axes that are off."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            shown = {id(tick) for tick in axis._update_ticks()} if axes.axison else set()
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if id(tick) not in shown:
                    hidden |= {id(tick.label1), id(tick.label2)}
    found = figure.findobj(Text)
    return [text for text in found if text.get_visible() and text.get_text().strip() and id(text) not in hidden]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in visible_texts(figure)]


def flaws(figure: Figure) -> list[str]:
    """What is wrong with the words of a figure: cut, too small, or over each other; and a page that is too large."""
    renderer, page, found, boxes = drawn(figure), figure.bbox, [], []
    width, height = figure.get_size_inches()
    if width > 9.001 or height > 6.6:
        found.append(f"{width:.1f} x {height:.1f} inches")
    for text in visible_texts(figure):
        box = Text.get_window_extent(text, renderer)
        if box.x0 < -1 or box.y0 < -1 or box.x1 > page.x1 + 1 or box.y1 > page.y1 + 1:
            found.append(f"cut: {text.get_text()!r}")
        if text.get_fontsize() < 12:
            found.append(f"small: {text.get_text()!r}")
        boxes.append((text.get_text(), box))
    found += [f"{a!r} over {b!r}" for (a, one), (b, two) in itertools.combinations(boxes, 2) if one.overlaps(two)]
    return found
