"""What no model can beat: entropies, counting models, Bayes classifiers, optimal policies. Never torch, never a model."""
