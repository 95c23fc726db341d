"""Speaking: flite or eSpeak NG, sentence by sentence."""
