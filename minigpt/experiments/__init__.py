"""The experiments of the chapters, one folder a paper: module = table = command."""
