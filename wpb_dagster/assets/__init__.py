"""The assets of a run, thin over plain functions.

These modules do not postpone their annotations (``from __future__``): Dagster refuses the type of ``context`` as a string.
"""
