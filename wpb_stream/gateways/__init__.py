"""The topic between the streaming process and its gateways: one publishes its board there, the others read theirs from it."""
