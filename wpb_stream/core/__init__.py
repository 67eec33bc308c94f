"""The maths and the rules, without IO: called with values, it returns values."""
