"""Pictures for the explorers of the web edition: what a slider shows at each of its places, drawn when pages are made.

One explorer so far, in chapter 00; it needs no trained model. The others show one setting on the web.
"""

from collections.abc import Iterable, Iterator

from minigpt import plots
from minigpt.exact import entropy
from minigpt.plots import style

N_PLACES = 25  # of a slider; a picture each, about 40 kB


def valley(places: Iterable[int] = range(N_PLACES)) -> Iterator[tuple[str, bytes, str]]:
    """(value, PNG, sentence) for places of the slider of q, from 0.02 to 0.98: chapter 00, section 4."""
    for place in places:
        q = round(0.02 + 0.04 * place, 2)
        kl = max(0.0, entropy.kl_divergence([0.7, 0.3], [q, 1 - q]))  # at the truth it may come out as -7e-17
        figure = plots.cost_of_belief(0.7, q, title="Every q but the truth costs more")
        yield f"{q:.2f}", style.png(figure), f"q = {q:.2f} costs {kl:.3f} nats more than the truth."


# The beginning of an explorer's text in its notebook -> (name of the slider, where it begins, its pictures).
PLAYED = {
    "Explorer: a dot on the valley of cross-entropy": ("q, probability of heads", "0.30", valley),
}
