# A thin convenience for those who have make; every line is one call of start.py, which works everywhere.
PYTHON ?= python3

open:
	$(PYTHON) start.py

test:
	$(PYTHON) start.py test

quick:
	$(PYTHON) start.py test --quick

check:
	$(PYTHON) start.py check

clean-cache:
	$(PYTHON) start.py clean-cache

.PHONY: open test quick check clean-cache
