"""Chapter 02: GPT-2."""
