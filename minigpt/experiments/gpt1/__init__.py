"""Chapter 01: GPT-1."""
