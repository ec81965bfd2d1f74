"""Studies: methods against each other, in several arenas, over several seeds, with the statistics that belong to it."""
