"""Style: colours that every eye can tell apart, and words that can be read on them."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex

from minigpt.notebook import display
from minigpt.plots import style
from minigpt.plots.labels import darker
from minigpt.plots.style import PALETTE

# Machado, Oliveira and Fernandes (2009), severity 1.0, for linear RGB.
EYES = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])  # sRGB, D65


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str = "#ffffff") -> float:
    """WCAG contrast ratio."""
    light, dark = sorted((XYZ[1] @ linear(colour) for colour in (a, b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear RGB."""
    t = XYZ @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(a: str, b: str, eye: str) -> float:
    """Euclidean distance in CIELAB as this eye sees the two colours; 2 is just noticeable side by side."""
    return float(np.linalg.norm(lab(EYES[eye] @ linear(a)) - lab(EYES[eye] @ linear(b))))


def test_the_measures_of_colour_know_what_is_known():
    assert contrast("#000000") == pytest.approx(21) and contrast("#777777") == pytest.approx(4.48, abs=0.01)
    assert lab(np.ones(3)) == pytest.approx([100, 0, 0], abs=0.05) and lab(linear("#ff0000"))[0] == pytest.approx(
        53.2, abs=0.1
    )
    red, green = "#d62728", "#2ca02c"
    assert distance(red, green, "usual") > 100 and distance(red, green, "deuteranopia") < 30


def test_the_palette_stands_out_from_the_page():
    assert min(contrast(colour) for colour in PALETTE) >= 3
    assert min(contrast(darker(colour)) for colour in PALETTE) >= 4.5  # as text


@pytest.mark.parametrize("eye", EYES)
def test_the_palette_stays_apart_for_every_eye(eye):
    distances = {(a, b): distance(a, b, eye) for a, b in itertools.combinations(PALETTE, 2)}
    assert min(distances.values()) >= 30, min(distances, key=distances.get)


def test_lines_differ_in_marker_and_dash_too():
    lines = [style.line(i) for i in range(6)]
    for key in ("color", "marker", "linestyle"):
        assert len({str(line[key]) for line in lines}) == 6
    assert str(style.FLOOR_DASH) not in {str(line["linestyle"]) for line in lines}
    assert len(set(style.HATCHES)) == 6
    looks = [tuple(map(str, (each["color"], each["marker"], each["linestyle"]))) for each in map(style.line, range(12))]
    assert len(set(looks)) == 12  # beyond six a colour comes again, but with another marker and dash


def test_words_in_boxes_can_be_read():
    backgrounds = [*display.TOKEN_COLOURS, *(face for face, _ in style.ROLES.values())]
    assert min(contrast("#111111", face) for face in backgrounds) >= 7
    assert min(contrast(edge, face) for face, edge in style.ROLES.values()) >= 3
    assert min(contrast("#444444", face) for face in display.TOKEN_COLOURS) >= 4.5  # ids


def test_numbers_on_the_attention_map_can_be_read():
    from matplotlib import colormaps

    for weight in np.linspace(0, 1, 101):
        ink = "#ffffff" if weight > 0.7 else style.INK
        assert contrast(ink, to_hex(colormaps["Blues"](weight))) >= 3.5
