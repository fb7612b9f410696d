"""How Sphinx builds the book (https://www.sphinx-doc.org/en/master/usage/configuration.html)."""

# What it is called.
project = "gRPC in Python"
html_title = project
project_copyright = "its authors: the text under CC BY 4.0, the code under MIT"

# What it reads: the notebooks, with the outputs that they hold.
extensions = ["myst_nb"]
nb_execution_mode = "off"
smartquotes = False  # -- and ' stay as typed, as in JupyterLab
highlight_language = "none"  # a block that names no language is a terminal, or bytes
myst_heading_anchors = 3
myst_heading_slug_func = "tools.book.anchor"

# How it looks.
html_theme = "pydata_sphinx_theme"
html_theme_options: dict[str, list[str]] = {
    "navbar_center": [],  # the parts of the course stand beside the text
    "article_header_start": [],  # where you are, too
}
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
templates_path = ["templates"]
html_sidebars = {"**": ["contents.html"]}
html_static_path = ["static"]
html_css_files = ["book.css"]
html_favicon = "static/favicon.svg"
html_copy_source = False
html_use_index = False
