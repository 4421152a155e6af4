"""What the textbooks say of backpropagation, claim by claim, each shown by running code.

One file a claim, one line in `TEXTBOOK`.
"""
