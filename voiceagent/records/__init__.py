"""The call journal, one JSONL file per call: the truth about what happened."""
