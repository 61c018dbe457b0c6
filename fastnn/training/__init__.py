"""How a network works: the model that owns its state, and what is done to that model."""
