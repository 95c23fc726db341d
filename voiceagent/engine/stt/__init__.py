"""Listening: pocketsphinx with a grammar per question, in its own processes."""
