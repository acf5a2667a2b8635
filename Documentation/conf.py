# SPDX-License-Identifier: GPL-2.0-only
"""Sphinx: sphinx-build -W -b html Documentation build/docs."""

project = "okvm"
extensions = []
html_theme = "alabaster"
master_doc = "index"
exclude_patterns = ["_build"]
highlight_language = "none"
html_show_sourcelink = False
