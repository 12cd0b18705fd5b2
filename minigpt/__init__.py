"""miniGPT: the models of the GPT papers, small enough to train while you wait, and what no model can beat.

Flat in this folder lies what a reader of the papers looks for by name:

    attention       scaled dot-product attention, masks, heads, key-value cache
    model           GPT after GPT-1 (post-LN) and GPT-2 (pre-LN), and its heads for tasks
    loss            L1, L2 and L3 = L2 + lambda L1, masked language modelling
    tokenizer       byte-level byte-pair encoding: train, encode, decode
    corpus          any text as token ids, saved and memory-mapped
    batches         documents and windows in batches, mixtures of corpora
    train           AdamW, warm-up and decay, one training loop, evaluation
    devices         CPU or GPU, mixed precision, tokens per second and share of the peak
    sample          greedy, temperature, top-k, top-p, beam search; log P of a continuation
    transforms      GPT-1's input transforms for labelled tasks
    prompts         zero-, one- and few-shot prompts; exact match, F1, BLEU
    fewshot         evaluation with K examples: choices by likelihood, free answers
    responses       prompt and response as ids: rollouts, masks, log-probabilities
    reward_model    the reward model and the ranking loss over all pairs of a prompt
    ppo             PPO and PPO-ptx, one function an equation
    vision          image patches as tokens
    scaling         parameters, FLOPs and memory, counted exactly
    scaling_laws    power laws with and without an irreducible loss, predictions with intervals
    chinchilla      L(N, D), isoFLOP, the compute-optimal size
    calibration     reliability, calibration error, temperature scaling, pass rates
    contamination   n-gram overlap of test and training text, a Bloom filter
    checkpoint      models and unfinished training runs on disk: safetensors and JSON
    hub             published GPT-2 weights and vocabulary
    stats           confidence intervals (Student's t over seeds, Wilson for shares), the verdict on a claim
    papers          the numbers that the papers print, with their sources

and in folders:

    worlds/         text and images from programs whose exact probabilities are known
    exact/          what no model can beat: entropies, n-grams, Bayes classifiers, optimal policies
    experiments/    the experiments of the chapters, one folder a paper:  python -m minigpt.experiments
    plots/          figures: arrays in, a matplotlib Figure out
    notebook/       what a chapter puts on the page: figures, tables, checks, progress bars, explorers
    io/             files and downloads
    exercises/      the checks of the exercises

Who may import whom (tests/test_imports.py):

1. Modules of this folder and io/ import each other, without a cycle, and nothing below.
2. worlds/ and exact/ import each other, tokenizer, corpus, stats and io/; never torch, never a model: what the models
   are measured against shares no code with the models.
3. plots/ and notebook/ are handed numbers: both import stats, and notebook/ imports plots/.
4. experiments/ import all of these, and experiments of earlier papers; besides them only exercises/ import experiments.
5. Only notebook/ and exercises/ write to the page; only experiments/ make generators from seeds.
"""
