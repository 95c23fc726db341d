"""RTP and sound: packets, digits, jitter, G.711, playout, and the one 20 ms wheel."""
