"""Chapter 04: InstructGPT."""
