"""C++ kernels for sparse dense layers on the CPU, and who decides on them."""
