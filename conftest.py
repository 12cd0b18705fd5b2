"""Defaults for every run of pytest, in tests/ and with --nbval on the chapters."""

import os
import sys

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; kernels inherit it
SANITIZE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tests", "nbval_sanitize.cfg")


def pytest_configure(config):
    """nbval with the reader's own environment and a patience of ten minutes a cell; figures without a window."""
    option = config.option
    if getattr(option, "nbval", False) or getattr(option, "nbval_lax", False):
        option.nbval_current_env = True
        option.nbval_sanitize_with = option.nbval_sanitize_with or SANITIZE
        if option.nbval_cell_timeout == 2000:  # nbval's own default
            option.nbval_cell_timeout = 600
        # Kernels find the list of fonts made, and inherit a folder for it that can be written to: otherwise the first
        # cell of a chapter would have Matplotlib's words about it in its output.
        import matplotlib.font_manager  # noqa: F401
    else:
        # A grammar for addresses on the web, which jsonschema builds as soon as a test imports nbformat if the package
        # is there: four seconds in every process, for a check that no notebook here needs.
        sys.modules.setdefault("rfc3987_syntax", None)
        import matplotlib

        matplotlib.use("Agg")  # in this process only: kernels started by tests draw into the notebook


@pytest.hookimpl(wrapper=True)  # around xdist, which reads the groups
def pytest_collection_modifyitems(config, items):
    """On several cores: the slow tests first; those of one file in one process, and its other tests in one, so that
    what a file trains for all its tests is trained once. Where slow and other tests share what is trained, or several
    files do, they name one group for them all: `pytestmark = pytest.mark.xdist_group(...)`."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)
        for item in items:
            slow = " slow" if item.get_closest_marker("slow") else ""
            if item.get_closest_marker("xdist_group") is None:
                item.add_marker(pytest.mark.xdist_group(item.location[0] + slow))
    result = yield
    if hasattr(config, "workerinput") and config.getvalue("loadgroup"):
        for item in items:
            group = item.get_closest_marker("xdist_group").args[0]
            if not item.nodeid.endswith(f"@{group}"):  # xdist 3.8 writes it to where pytest 9.2 no longer reads it
                item._id = type(item._id).parse(f"{item.nodeid}@{group}")
    return result
