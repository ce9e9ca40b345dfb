"""Standard nodes as the operators of a Graph: a handler for each kind of node."""
