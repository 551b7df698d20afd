"""Rule sets looked at for all packets at once: what never matches, what differs, and packets that show it."""
