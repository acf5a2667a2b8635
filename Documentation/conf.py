# SPDX-License-Identifier: GPL-2.0-only
"""Sphinx, started by tools/testbed/docs."""

project = "okvm"
extensions = ["sphinx.ext.graphviz"]
graphviz_output_format = "svg"
graphviz_dot_args = ["-Nshape=box", "-Nfontname=sans-serif", "-Nfontsize=11", "-Nheight=0.3",
                     "-Efontname=sans-serif", "-Efontsize=10", "-Gfontname=sans-serif"]
html_theme = "alabaster"
master_doc = "index"
exclude_patterns = ["_build"]
highlight_language = "none"
html_show_sourcelink = False
