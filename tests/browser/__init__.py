"""The console page in a real Chromium."""
