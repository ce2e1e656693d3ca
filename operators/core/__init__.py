"""Pure maths of the operators: no input or output, no clock, no randomness."""
