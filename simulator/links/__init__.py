"""Where octets come from and go to.  A link takes datagrams with ``transmit``; what it reads goes to ``receive``."""
