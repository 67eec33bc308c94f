"""Live maps of Bluesky scans: documents in, growing reconstructions out.

Importing this package loads nothing heavy; each room below is imported where it is used.
"""
