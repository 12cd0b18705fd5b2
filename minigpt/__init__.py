"""miniGPT: the rooms of the house. Every name has one address: nothing is re-exported here.

WEST WING: strings and exact probabilities, in float64. It never imports torch.
    lexicon     floor 0   the words and facts of the story world
    grammar     floor 0   probabilistic programs that write text: sample one, score one, exactly
    tokens      floor 0   byte-pair encoding: train, encode, decode
    papers      floor 0   the numbers that the papers print, with their sources
    scaling     floor 0   parameters and compute counted; frontiers and power laws
    prompts     floor 0   examples as text before a question; free answers scored as text
    optimum     floor 0   answers that can all be listed, and the best policy among them
    encyclopedia floor 0  chapter 05: very many facts, few of them famous; exact entropy
    pictures    floor 0   chapter 05: coloured shapes as pixels, questions and answers about them
    tongues     floor 0   chapter 05: the same facts in several languages, some of them relatives
    calibration floor 0   how sure against how often right, temperature, abstention, pass rates
    overlap     floor 0   n-grams of a test text that stand in the training text, a Bloom filter
    laws        floor 1   fits of loss against compute, parameters and tokens; predictions with intervals
    world       floor 1   the story world: stories, facts, translations, labelled examples; their exact grammar
    assistant   floor 1   chapter 04: tales, requests for tales, what an answer is worth, labelers
    corpus      floor 1   any text as token ids, and in batches
    gpt2_tokens floor 1   the published GPT-2 vocabulary, from its two files
    truth       floor 2   what no model can beat: the entropy floor, counting models, the best classifier
    tasks       floor 2   GPT-1's input transforms: labelled examples as ids, and in batches
    families    floor 2   tasks to be learned from the context, each with its Bayes learner

EAST WING: ids and tensors, in float32. It never sees a string or the grammar.
    attention   floor 0   scaled dot product, masks, heads, the key-value cache
    loss        floor 0   L1, L2 and L3, the masked language model
    model       floor 1   GPT, after GPT-1 (post-LN) and GPT-2 (pre-LN); the heads for tasks
    sample      floor 1   greedy, temperature, top-k, top-p; the probability of a response
    train       floor 2   AdamW, warm-up and decay, one plain loop, evaluation
    reward      floor 2   the reward model, the ranking loss over all pairs of a prompt
    vision      floor 2   images as patches, patches as tokens, in the same blocks
    checkpoint  floor 2   safetensors and JSON, a cache by content
    published   floor 2   GPT-2 checkpoints under their published names: load, save, find, fetch
    ppo         floor 3   rewards with KL, advantages, clipped losses, PPO-ptx; one function an equation

ROOF: pixels. It is handed its data and imports no room.
    show        figures with captions; a function's source
    charts      the figures of the later chapters
    progress    the bar under a training run
    widgets     explorers

CLASSROOM: where both wings and the roof meet. It may import every room; no room imports what is here.
    classroom   what several chapters share: the storybook, the book's GPT-1, fine-tuning, measured results
    examiner    asks a model questions with K examples, and trains nothing
    zeroshot    chapter 02: tasks in words, with ceilings and shortcuts
    changes     chapter 02: from GPT-1 to GPT-2, one change at a time
    decoding    chapter 02: sampling beside the true distribution
    memory      chapter 02: planted documents, and who knows them by heart
    incontext   chapter 03: models that read lists of examples, the head that copies, two limits
    studies     chapter 03: compute, bands, mixtures, a planted association
    directions  chapter 03: two languages in any balance, translated both ways
    smallworld  chapter 04: PPO where every answer can be listed
    museum      chapter 04: mistakes that people made in PPO, one at a time
    labeling    chapter 04: the reader ranks answers, and a reward model learns from it
    alignment   chapter 04: demonstrations, rankings, a reward model, PPO on tales
    ladder      chapter 05: models from very small to small, trained alike on one encyclopedia
    seeing      chapter 05: a model that answers questions about pictures, and one that cannot look
    certainty   chapter 05: four choices, and how sure chapter 04's models are of theirs
    exam        chapter 05: one exam in seven languages, against their share of the text
    recall      chapter 05: closed-book questions about what was read often, rarely, never
    guard       chapter 05: refusing what is forbidden and only that, PPO with a rule
    exercises   a folder, one module a chapter: tries the reader's answers; it alone prints

Imports run strictly downward inside a wing, and the wings never meet: the machine and the truth it is measured
against share no line of code, so they cannot share a mistake. tests/test_house.py holds this plan.
"""
