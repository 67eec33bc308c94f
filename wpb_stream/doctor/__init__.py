"""`wpb doctor`: whether each thing the settings name is there, and what to do if not.

What may hang (a bus, a database, a folder on a file server) is asked by a process of its own, `child`, which is killed at a deadline: a
thread that waits for a dead file server could not be.
"""
