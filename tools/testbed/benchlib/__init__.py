# SPDX-License-Identifier: GPL-2.0-only
"""What tools/testbed/bench is made of: images, machines, the watch over a running machine."""
