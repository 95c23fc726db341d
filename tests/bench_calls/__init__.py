"""Tests of the call bench."""
