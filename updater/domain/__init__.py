"""What the words mean and how a decision is made: values in, values out.

Nothing here waits, reads a clock, opens a file or logs; `now` is passed in.
"""
