"""The checker's own examination, published: who catches whom, how small an error, beside others."""
