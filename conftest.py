"""Defaults for every run of pytest, in tests/ and with --nbval on the chapters."""

import os

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
    else:
        import matplotlib

        matplotlib.use("Agg")  # in this process only: kernels started by tests draw into the notebook
