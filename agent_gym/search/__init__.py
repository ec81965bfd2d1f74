"""Finding documents by words, and comparing answers with references."""
