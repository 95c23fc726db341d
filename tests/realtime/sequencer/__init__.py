"""The response sequencer: ladders, properties, planted bugs."""
