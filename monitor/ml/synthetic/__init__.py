"""Whether an item is synthetic: what the file itself says of its making, and (when installed) a scorer."""
