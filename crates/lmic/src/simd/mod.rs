//! Kernels for what the CPU has. The only module with `unsafe`; every kernel has a scalar twin with the
//! same bits, and integers only.
