"""A second decoder, written from docs/format.md and docs/format/ alone: one module for each page.

Sections carry the headings of the pages, and names are the pages' words. Sequential and slow: a few KB a second.
"""
