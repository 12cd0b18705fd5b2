"""Worlds: text and images drawn from programs whose exact probabilities are known. NumPy only, never torch."""
