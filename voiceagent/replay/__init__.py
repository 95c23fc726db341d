"""Journals read back: proof that a call kept the sequencer's promises, and its story in words."""
