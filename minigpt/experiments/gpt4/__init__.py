"""Chapters 05 and 06: GPT-4."""
