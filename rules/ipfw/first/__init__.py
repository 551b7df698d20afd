"""The first rule language of ipfw: that of FreeBSD 4 unless its makers ask for the second (G-38, M-3).

It makes the same :class:`~rules.ipfw.rule.Rule` values as the second one, of the same questions, for the same engine.
What its kernel (ip_fw.c) does differently is said by switches, or by the questions that a rule is made of: an
``icmptypes`` of this language is ``{ icmptypes or frag }`` in the words of the other.
"""
