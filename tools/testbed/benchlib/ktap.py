# SPDX-License-Identifier: GPL-2.0-only
"""Reading KTAP: which tests passed, failed and were skipped, wherever the lines come from."""

import re

# A result line, perhaps with the time stamp of the kernel log before it.
RESULT = re.compile(r"^(?:\[[ \d.]+\] ?)?( *)(not ok|ok) +\d+\b *-? *(.*)$")


class Results:
    """Counts of what passed, names of what failed or was skipped."""

    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def counts(self):
        """(passed, failed, skipped) as numbers."""
        return self.passed, len(self.failed), len(self.skipped)

    def add(self, status, text):
        """Take in one result that has no results of its own below it."""
        if re.search(r"# *SKIP", text, re.I):
            self.skipped.append(text)
        elif status == "ok":
            self.passed += 1
        else:
            self.failed.append(text)


def parse(text):
    """Read the results out of a console log or a test's output.

    Results nest by indentation, the sum line of a group following its members. A sum line counts
    only if it reports a failure that none of its members reported.
    """
    results, deeper, before = Results(), 0, 0
    for line in text.splitlines():
        match = RESULT.match(line.rstrip("\r"))
        if not match:
            continue
        indent, status, name = len(match.group(1)), match.group(2), match.group(3)
        if indent < deeper:
            if status == "not ok" and len(results.failed) == before:
                results.failed.append(name)
            deeper, before = indent, len(results.failed)
            continue
        deeper = indent
        results.add(status, name)
    return results
