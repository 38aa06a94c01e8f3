/* Profiles of models. Part of gpsimd, as nrt.h is. */
#ifndef GPSIMD_NRT_PROFILE_H
#define GPSIMD_NRT_PROFILE_H

#include "nrt/nrt.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Records the executions of a model until the second call, with the same name, writes them to the file. */
NRT_STATUS nrt_profile_start(nrt_model_t *model, const char *filename);
NRT_STATUS nrt_profile_stop(const char *filename);

#ifdef __cplusplus
}
#endif

#endif
