"""GEMM, the general matrix product, from the shape of its register tile to its entry points.

=================  =============================================================================
``tiles``          MR and NR of every instruction set
``structures``     what the routines pass each other: dimensions, matrices, epilogue, prefetch
``vectors``        vector instructions as LLVM IR
``microkernel``    one tile of C in registers: its sums along k, the epilogue, the loop over tiles
``transpose``      blocks transposed in registers; packing uses it
``dot``            a product with one column
``turning``        few rows with a B that is stored by columns
``loops``          the macro-kernel: five loops, block sizes, packing.  Start reading here.
``bfloat16``       products of factors that are rounded to bfloat16 as they are packed
``table``          compiled once for each dtype, called by address
=================  =============================================================================

The public kernels, in :mod:`fastnn.kernels.matmul`, only describe their product.
"""
