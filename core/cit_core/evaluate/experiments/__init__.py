"""The experiments of the paper, on outcomes of our own: each makes tables and figures from settings and scores."""
