"""The job engine: it serves all nouns of the API and imports none of them."""
