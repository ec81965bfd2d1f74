"""TextWorld: games that are generated, or brought as files, played by the real engine."""
