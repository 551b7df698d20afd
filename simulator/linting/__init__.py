"""Rule files looked at for all packets at once, and packets out of that, made and tried."""
