"""A kernel's whole packet path, readable from top to bottom: ``linux`` and ``bsd``."""
