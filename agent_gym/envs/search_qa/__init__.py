"""Questions that are answered by searching documents: `SearchQA`, and `ConversationalQA` on the same parts."""
