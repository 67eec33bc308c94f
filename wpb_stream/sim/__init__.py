"""A simulated beamline with commands of its own; never imported at run time."""
