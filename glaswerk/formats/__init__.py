"""Files that hold weights, read and written byte by byte: bounds-checked, memory-mapped, without torch."""
