"""The model's side of a call: sessions, the sequencer, and the wire."""
