"""ALFWorld: household tasks in text, played by a native simulator or by the original engine."""
