"""PURE. What happens within a dialog: calls, offers, session timers, PRACK, REFER, Replaces."""
