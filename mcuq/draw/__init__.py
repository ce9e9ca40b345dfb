"""Pictures as SVG: plain data in, text out; nothing here knows what a network is.

Every picture is a ``Picture``: for a page, for a notebook, or for a file of its own. It has a text
for those who do not see it, colours for light and dark, no script, and nothing from elsewhere.
"""
