"""Flows as pictures: what may follow what, and what calls have really done."""
