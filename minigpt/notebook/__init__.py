"""What a chapter puts on the page: figures, tables, checks, progress bars, explorers."""
