"""Commands that are more than a few lines: what they ask, and how they tell it. `wpb_stream.cli` puts them together."""
