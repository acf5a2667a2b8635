# SPDX-License-Identifier: GPL-2.0-only
"""What a machine's terminal does with keys: Ctrl-A x leaves, Ctrl-A Ctrl-A sends one Ctrl-A."""

PREFIX = 0x01


class Keys:
    """Follows the keys of one terminal, however they are torn apart into reads.

    >>> keys = Keys()
    >>> keys.feed(b"ls\\r"), keys.feed(b"\\x01x")
    ((b'ls\\r', False), (b'', True))

    The prefix and the key may come in two reads, and a program in the machine that has the same
    keys, as okvm-run has, gets its prefix by two of them:

    >>> keys = Keys()
    >>> keys.feed(b"a\\x01"), keys.feed(b"x"), keys.feed(b"\\x01\\x01x")
    ((b'a', False), (b'', True), (b'\\x01x', False))

    After the prefix any other key is only itself:

    >>> Keys().feed(b"\\x01b\\x01X!")
    (b'b', True)
    """

    def __init__(self):
        self.prefixed = False

    def feed(self, data):
        """(what to send to the machine, whether the user leaves)."""
        out = bytearray()
        for key in data:
            if self.prefixed and key in b"xX":
                self.prefixed = False
                return bytes(out), True
            if key == PREFIX and not self.prefixed:
                self.prefixed = True
                continue
            self.prefixed = False
            out.append(key)
        return bytes(out), False
