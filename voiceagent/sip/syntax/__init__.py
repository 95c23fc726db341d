"""PURE. Messages as text and values: grammar, headers, URIs, parsing and building."""
