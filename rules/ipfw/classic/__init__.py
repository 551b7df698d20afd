"""The command line of the older ipfw(8) tools: ipfw.c and ipfw2.c of FreeBSD 4, ipfw2.c of DragonFly."""
