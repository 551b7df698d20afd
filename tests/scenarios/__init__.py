"""The scripts of ``scenarios/``: their index page, and proof that each of their expectations counts."""
