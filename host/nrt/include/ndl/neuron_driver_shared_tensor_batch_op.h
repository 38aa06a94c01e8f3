/* One read or write of a batch (nrt_tensor_read_batch, nrt_tensor_write_batch). Part of gpsimd, as nrt/nrt.h is. */
#ifndef GPSIMD_NDL_TENSOR_BATCH_OP_H
#define GPSIMD_NDL_TENSOR_BATCH_OP_H

#include <stdint.h>

typedef uint64_t nrt_tensor_batch_offset_t;
typedef uint64_t nrt_tensor_batch_size_t;

typedef struct nrt_tensor_batch_op {
    nrt_tensor_batch_offset_t offset; /* in the tensor */
    nrt_tensor_batch_size_t size;
    void *buffer; /* of the caller: written by a read, read by a write */
} nrt_tensor_batch_op_t;

#endif
