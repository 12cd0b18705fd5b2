"""Checks for the exercises of chapter 05, GPT-4: predictable scaling.

Those on laws are in ch05_laws, those on fits and on the run shop in ch05_scaling, those of the labs in labs05.
"""

from minigpt.exercises.ch05_laws import best_size as best_size
from minigpt.exercises.ch05_laws import forecast as forecast
from minigpt.exercises.ch05_laws import interval_score as interval_score
from minigpt.exercises.ch05_laws import tokens as tokens
from minigpt.exercises.ch05_scaling import fit as fit
from minigpt.exercises.ch05_scaling import interval as interval
from minigpt.exercises.ch05_scaling import run_shop as run_shop
from minigpt.exercises.open_answers import critique as critique
from minigpt.exercises.open_answers import experiment as experiment
