"""Products as rules knows them, and what a change of one means to customers. Pure."""
