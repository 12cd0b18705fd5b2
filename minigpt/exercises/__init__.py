"""Checks for the exercises, a module for each chapter: they try an answer on fresh examples and say what is wrong.

No module imports them. An answer that is still `...` is "not attempted yet", so an untouched chapter runs to its end.
"""
