"""Chapter 03: GPT-3."""
