"""How a network works: the model that owns its state, and the functions that work on it."""
