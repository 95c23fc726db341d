"""Other frameworks under our load: each in a process of its own, perhaps with another Python environment.

Nothing here is imported by anything else but that process, and nothing here needs more than the standard
library and the peer.
"""
