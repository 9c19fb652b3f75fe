"""C++ kernels and fused train steps on the CPU; the choice of the backend."""
