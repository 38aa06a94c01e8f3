/* What the SDK declares as experimental: inputs and outputs of a model, tracing, small collective operations. Part of gpsimd, as nrt.h is. */
#ifndef GPSIMD_NRT_EXPERIMENTAL_H
#define GPSIMD_NRT_EXPERIMENTAL_H

#include <stddef.h>
#include <stdint.h>

#include "nrt/nrt.h"
#include "nrt/nrt_status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    NRT_TENSOR_USAGE_INPUT = 0,
    NRT_TENSOR_USAGE_OUTPUT = 1
} nrt_tensor_usage_t;

/* Bytes of a tensor's name, the terminating zero among them. */
#define NRT_TENSOR_NAME_MAX 256

typedef struct nrt_tensor_info {
    char name[NRT_TENSOR_NAME_MAX];
    nrt_tensor_usage_t usage;
    size_t size; /* bytes */
    nrt_dtype_t dtype;
    uint32_t *shape; /* ndim numbers, freed with the array */
    uint32_t ndim;
} nrt_tensor_info_t;

typedef struct nrt_tensor_info_array {
    uint64_t tensor_count;
    nrt_tensor_info_t tensor_array[];
} nrt_tensor_info_array_t;

/* Inputs and outputs of a model; the array is the caller's, to be given to nrt_free_model_tensor_info. */
NRT_STATUS nrt_get_model_tensor_info(nrt_model_t *model, nrt_tensor_info_array_t **tensor_info);
NRT_STATUS nrt_free_model_tensor_info(nrt_tensor_info_array_t *tensor_info);

typedef struct nrt_model_info {
    uint32_t vnc; /* the NeuronCore that it is on */
} nrt_model_info_t;

/* `info_size_in` is sizeof(nrt_model_info_t) of the caller; `info_size_out` says how many bytes of it were written. */
NRT_STATUS nrt_get_model_info(const nrt_model_t *model, nrt_model_info_t *info, size_t info_size_in,
                              size_t *info_size_out);

/* Records the executions on all NeuronCores of the process, and device memory if asked, until the second call writes them
 * to a file. */
NRT_STATUS nrt_trace_start(bool trace_mem);
NRT_STATUS nrt_trace_stop(const char *filename);

/* Among `g_device_count` workers, of which this process is `g_device_id`: waits for all; collects `rank_input_size` bytes
 * of each in `output`. */
NRT_STATUS nrt_barrier(int32_t vnc, uint32_t g_device_id, uint32_t g_device_count);
NRT_STATUS nrt_all_gather(int32_t vnc, uint32_t g_device_id, uint32_t g_device_count, uint32_t rank_input_size,
                          void *input, void *output);

#ifdef __cplusplus
}
#endif

#endif
