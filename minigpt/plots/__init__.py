"""Figures: arrays in, a matplotlib Figure out. Every figure function under one name, such as plots.loss_curve.

    style         canvas, png: the one style of all figures
    architecture  transformer_stack, split_heads
    asking        task_heads_and_text, shots, induction_steps
    attention     attention_map, attention_window, attention_arcs, mask_picture
    bars          bars, intervals, next_token_bars, shares, reliability, grouped_ranges
    curves        loss_curve, lines, small_multiples, rows, frontier_plot
    decoding      temperature_bars, nucleus, quality_diversity
    depth         block_orders, gradient_profile
    diagrams      transform_diagram, transform_rows, data_parallel
    dots          score_dots, effects
    heads         head_steps, head_grids
    history       stacked_shares, training_panels, timeline
    images        image_answers, pictures, image_and_words, occlusion_maps
    information   cost_of_belief, ruler, strips, above_floor
    language      text_to_tokens, continuation_tree
    memory        model_parallelism
    panels        task_panels, stacked_panels, embedding_map
    pipelines     shifted_targets, masks_and_inputs, pretrain_finetune
    rlhf          rlhf_steps, ppo_networks, tilt_bars, rollout_timeline, dashboard, rule_flow
    scaling       final_run, equal_areas, slopes, isoflop_profiles, interval_ranks
    words         next_word, surprise, prompt_answers
    labels        short, plain_log, prompt_lines: words and numbers that fit and cover nothing
"""

from minigpt.plots.architecture import split_heads as split_heads
from minigpt.plots.architecture import transformer_stack as transformer_stack
from minigpt.plots.asking import induction_steps as induction_steps
from minigpt.plots.asking import shots as shots
from minigpt.plots.asking import task_heads_and_text as task_heads_and_text
from minigpt.plots.attention import EARLIER as EARLIER
from minigpt.plots.attention import attention_arcs as attention_arcs
from minigpt.plots.attention import attention_map as attention_map
from minigpt.plots.attention import attention_window as attention_window
from minigpt.plots.attention import mask_picture as mask_picture
from minigpt.plots.bars import bars as bars
from minigpt.plots.bars import grouped_ranges as grouped_ranges
from minigpt.plots.bars import intervals as intervals
from minigpt.plots.bars import next_token_bars as next_token_bars
from minigpt.plots.bars import reliability as reliability
from minigpt.plots.bars import shares as shares
from minigpt.plots.curves import frontier_plot as frontier_plot
from minigpt.plots.curves import lines as lines
from minigpt.plots.curves import loss_curve as loss_curve
from minigpt.plots.curves import rows as rows
from minigpt.plots.curves import small_multiples as small_multiples
from minigpt.plots.decoding import nucleus as nucleus
from minigpt.plots.decoding import quality_diversity as quality_diversity
from minigpt.plots.decoding import temperature_bars as temperature_bars
from minigpt.plots.depth import block_orders as block_orders
from minigpt.plots.depth import gradient_profile as gradient_profile
from minigpt.plots.diagrams import data_parallel as data_parallel
from minigpt.plots.diagrams import transform_diagram as transform_diagram
from minigpt.plots.diagrams import transform_rows as transform_rows
from minigpt.plots.dots import effects as effects
from minigpt.plots.dots import score_dots as score_dots
from minigpt.plots.heads import head_grids as head_grids
from minigpt.plots.heads import head_steps as head_steps
from minigpt.plots.history import stacked_shares as stacked_shares
from minigpt.plots.history import timeline as timeline
from minigpt.plots.history import training_panels as training_panels
from minigpt.plots.images import image_and_words as image_and_words
from minigpt.plots.images import image_answers as image_answers
from minigpt.plots.images import occlusion_maps as occlusion_maps
from minigpt.plots.images import pictures as pictures
from minigpt.plots.information import above_floor as above_floor
from minigpt.plots.information import cost_of_belief as cost_of_belief
from minigpt.plots.information import ruler as ruler
from minigpt.plots.information import strips as strips
from minigpt.plots.labels import plain_log as plain_log
from minigpt.plots.labels import prompt_lines as prompt_lines
from minigpt.plots.labels import short as short
from minigpt.plots.language import continuation_tree as continuation_tree
from minigpt.plots.language import text_to_tokens as text_to_tokens
from minigpt.plots.memory import model_parallelism as model_parallelism
from minigpt.plots.panels import embedding_map as embedding_map
from minigpt.plots.panels import stacked_panels as stacked_panels
from minigpt.plots.panels import task_panels as task_panels
from minigpt.plots.pipelines import masks_and_inputs as masks_and_inputs
from minigpt.plots.pipelines import pretrain_finetune as pretrain_finetune
from minigpt.plots.pipelines import shifted_targets as shifted_targets
from minigpt.plots.rlhf import dashboard as dashboard
from minigpt.plots.rlhf import ppo_networks as ppo_networks
from minigpt.plots.rlhf import rlhf_steps as rlhf_steps
from minigpt.plots.rlhf import rollout_timeline as rollout_timeline
from minigpt.plots.rlhf import rule_flow as rule_flow
from minigpt.plots.rlhf import tilt_bars as tilt_bars
from minigpt.plots.scaling import equal_areas as equal_areas
from minigpt.plots.scaling import final_run as final_run
from minigpt.plots.scaling import interval_ranks as interval_ranks
from minigpt.plots.scaling import isoflop_profiles as isoflop_profiles
from minigpt.plots.scaling import slopes as slopes
from minigpt.plots.words import next_word as next_word
from minigpt.plots.words import prompt_answers as prompt_answers
from minigpt.plots.words import surprise as surprise
