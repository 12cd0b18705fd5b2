"""What no model can beat: entropies, n-grams, Bayes classifiers, optimal policies. Never torch, never a model."""
