"""The audio half of the embedded provider."""
