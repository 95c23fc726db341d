"""Flows checked before they meet a caller: what is found has a place, a code, and a remedy."""
