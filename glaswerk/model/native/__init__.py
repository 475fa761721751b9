"""Operations in C++ for inference on a CPU: one token at a time, no gradient. Each is a torch operation with a plain
PyTorch twin, which is its oracle in the tests and stands in for it where there is no compiler.
"""
