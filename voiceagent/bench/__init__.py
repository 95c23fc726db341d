"""Load and latency, measured by another process, printed as ratios."""
