"""How each figure of the benchmark report comes about; stands beside it there."""

METHODS = {
    "calls": (
        "Phones and the scripted provider are a second process; stamps inside the audio give the delays, "
        "counts at the phones and the provider everything else. A caller's turn every 6 s, 4 s of answer, "
        "every second answer interrupted after 2 s. Under test are whole calls: RTP port on the shared "
        "wheel, flow, call, realtime session over a WebSocket (no TLS, loopback), journal with inputs, "
        "metrics, live events; SIP is left out. CPU is user and system time of the whole process over the "
        "window, after 6 s of warm-up."
    ),
    "media": "The same phones and provider, with nothing but RTP port and realtime session in each call.",
    "kernel": (
        "The system calls of a running call and nothing else, in bursts over 25 sockets of each kind towards "
        "a second process that reads: 50 RTP packets sent, 50 received, 25 appends sent, 18 frames received "
        "a second. What a call costs on this machine before anybody's program has done anything."
    ),
    "setup": (
        "INVITE, 200, ACK, BYE over UDP from callers in a second Python process, against the SIP core "
        "without media. A set-up time holds the work of both."
    ),
    "sequencer": (
        "Decisions are the calls of `handle` and `wake`, replayed on one core from what the sequencers of 24 "
        "synthetic calls of 300 s were fed; the simulation is seeded traffic in virtual time."
    ),
    "recovery": (
        "Twenty calls at once; the provider's sessions die at random points of the wire, and after every "
        "second death it stays away for up to 2 s. Legs are played on the clock without SIP."
    ),
    "soak": (
        "A whole service (SIP over UDP, RTP, session, journals, metrics, database, console); callers, phones "
        "and provider are a second process. A call is INVITE, 200, ACK, RTP both ways, a spoken greeting, "
        "BYE, about a second in all. Resident memory every half second against the calls that have ended; "
        "the slope is of the line of least squares without the first part (a quarter of the calls, 32 s, "
        "and 1,500 calls, which fill what is kept up to a limit). What waits for "
        "a full turn of the garbage collector counts in full."
    ),
}
