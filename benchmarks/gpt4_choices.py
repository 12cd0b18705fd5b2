"""What a base model and the same model after PPO say to 400 questions with four choices: for a slider to play with.

    python benchmarks/gpt4_choices.py              half a minute, once chapter 04's models are there

Writes data/measured/gpt4_choices.csv, a row for each model, form and question: the log-probability of each choice, and
which one is right. The models are those of chapter 04's first seed, the questions the first of gpt4_calibration's.
Chapter 05 reads the file.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from minigpt import alignment, assistant, calibration, certainty, classroom, ppo, reward

KEY = ("model", "form", "question")
ALSO = (alignment, assistant, calibration, certainty, ppo, reward)
N = 400


def main() -> None:
    """Ask both models everything."""
    base = alignment.base(0)
    sft = alignment.sft(base, 0)
    judge = alignment.reward_model(sft, alignment.rankings(sft, 3200, 0), 0)
    models = {"base": base.model, "ppo": alignment.rlhf(sft, judge, 0, kl_coef=0.05).model.policy}
    for form in certainty.FORMS:
        asked = certainty.questions(form, N)
        for name, model in models.items():
            logps = certainty.choice_logps(model, alignment.library().tokenizer, asked)
            rows = [
                dict(zip(KEY, (name, form, f"{i:03d}")))
                | {f"logp {j}": f"{x:.3f}" for j, x in enumerate(row)}
                | {"right": question.right}
                for i, (row, question) in enumerate(zip(logps, asked))
            ]
            classroom.keep_measured("gpt4_choices", rows, KEY, ALSO)
            print(name, form, len(rows), flush=True)


if __name__ == "__main__":
    main()
