# SPDX-License-Identifier: GPL-2.0-only
"""Sphinx, started by tools/testbed/docs."""

project = "okvm"
extensions = ["sphinx.ext.graphviz"]
graphviz_output_format = "svg"
html_theme = "alabaster"
master_doc = "index"
exclude_patterns = ["_build"]
highlight_language = "none"
html_show_sourcelink = False
