"""How the documentation is built: ``sphinx-build -W docs build/docs``, or ``nox -s docs``.

The pages load nothing from the network when they are opened: no fonts, no scripts from elsewhere, and the
search works from the file system.
"""

from gradlens.version import VERSION

project = "gradlens"
author = "The gradlens developers"
project_copyright = "The gradlens developers"
version = release = VERSION

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3  # links to headings, as code forges write them
nitpicky = False  # foreign types cannot be looked up without asking other sites
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_mock_imports = ["lightning", "pytorch_lightning", "transformers"]  # optional, and slow to import
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # fields of dataclasses, once

html_theme = "furo"
html_title = f"gradlens {VERSION}"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
