/* Status codes of the Neuron Runtime, as its documentation lists them (nrt_status.h, Neuron 2.32).
 *
 * Part of gpsimd: written from the documented interface for hosts without the Neuron SDK. Where the SDK is installed, its
 * own header in /opt/aws/neuron/include/nrt is the truth.
 */
#ifndef GPSIMD_NRT_STATUS_H
#define GPSIMD_NRT_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    NRT_SUCCESS = 0,
    NRT_FAILURE = 1,                          /* not further specified */
    NRT_INVALID = 2,                          /* an argument, a NEFF, an instruction or an input that is not valid */
    NRT_INVALID_HANDLE = 3,                   /* a handle that is null or was not made by the runtime */
    NRT_RESOURCE = 4,                         /* something the runtime needs could not be allocated */
    NRT_TIMEOUT = 5,                          /* an operation took longer than NEURON_RT_EXEC_TIMEOUT */
    NRT_HW_ERROR = 6,                         /* the hardware failed */
    NRT_QUEUE_FULL = 7,                       /* too many executions wait */
    NRT_LOAD_NOT_ENOUGH_NC = 9,               /* the model wants more NeuronCores than there are */
    NRT_UNSUPPORTED_NEFF_VERSION = 10,        /* the NEFF is of another version than the runtime takes */
    NRT_FAIL_HOST_MEM_ALLOC = 11,             /* host memory could not be allocated */
    NRT_UNINITIALIZED = 13,                   /* called before nrt_init */
    NRT_CLOSED = 14,                          /* called after nrt_close */
    NRT_QUEUE_EMPTY = 15,                     /* nothing waits */
    NRT_EXEC_UNIT_UNRECOVERABLE = 101,        /* the engine does not come back without a reset */

    NRT_EXEC_BAD_INPUT = 1002,                /* the inputs are not what the model wants */
    NRT_EXEC_COMPLETED_WITH_NUM_ERR = 1003,   /* finished, with NaN or infinities where none may be */
    NRT_EXEC_COMPLETED_WITH_ERR = 1004,       /* finished, with another error */
    NRT_EXEC_NC_BUSY = 1005,                  /* the NeuronCore is in use, by another process or model */
    NRT_EXEC_OOB = 1006,                      /* an access out of the bounds of a tensor */

    NRT_COLL_PENDING = 1100,                  /* a collective operation has not finished */

    NRT_EXEC_HW_ERR_COLLECTIVES = 1200,       /* the hardware failed in a collective operation */
    NRT_EXEC_HW_ERR_HBM_UE = 1201,            /* an error in device memory that was not corrected */
    NRT_EXEC_HW_ERR_NC_UE = 1202,             /* an error in a NeuronCore that was not corrected */
    NRT_EXEC_HW_ERR_DMA_ABORT = 1203,         /* a DMA was aborted */
    NRT_EXEC_SW_NQ_OVERFLOW = 1204,           /* the notification queue ran over */
    NRT_EXEC_HW_ERR_REPAIRABLE_HBM_UE = 1205, /* an error in device memory that a reset repairs */
    NRT_NETWORK_PROXY_FAILURE = 1206          /* the network proxy failed */
} NRT_STATUS;

/* The name of a status, a static string; for a number that is no status a string that says so. */
const char *nrt_get_status_as_str(NRT_STATUS status);

#ifdef __cplusplus
}
#endif

#endif
