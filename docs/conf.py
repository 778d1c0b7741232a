"""How the documentation is built: `make docs`."""

from importlib.metadata import version as installed

project = "waycairn"
author = "the waycairn authors"
copyright = "the waycairn authors, Apache-2.0"
version = release = installed("waycairn")
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"waycairn {release}"
html_copy_source = False
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
nitpicky = False
