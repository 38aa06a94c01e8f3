/* A libnrt that notes its calls: what the safe interface asks of it, in which order, and on handles that are alive.
 *
 * Its only model has an input `x` and an output `y` of four f32, and doubles x. Handles are never given back to the heap, so
 * that a call on a dead one is noted, too, and not undefined.
 */
#include <nrt/nrt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef INFO_USAGE
#define INFO_USAGE NRT_TENSOR_USAGE_OUTPUT
#endif
#ifndef INFO_DTYPE
#define INFO_DTYPE NRT_DTYPE_FLOAT32
#endif
#ifndef INFO_NDIM
#define INFO_NDIM 2
#endif
#ifndef MAJOR
#define MAJOR 2
#endif

struct nrt_model { int id, alive; };
struct nrt_tensor { int id, alive; char *data; size_t size; };
struct nrt_tensor_set { int id, alive, count; const char *names[8]; nrt_tensor_t *tensors[8]; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char calls[1 << 16];
static char failing[64];
static unsigned failing_status;
static int ids;
static int running, most_running;

static void note(const char *format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&lock);
    if (strlen(calls) + strlen(line) + 2 < sizeof calls) {
        strcat(strcat(calls, line), "\n");
    }
    pthread_mutex_unlock(&lock);
}

/* For the tests. */
const char *fake_calls(void) { return calls; }
void fake_fail(const char *function, unsigned status) {
    snprintf(failing, sizeof failing, "%s", function);
    failing_status = status;
}
int fake_most_running(void) { return most_running; }

#define FAIL_IF_ASKED() \
    if (strcmp(failing, __func__) == 0) return (NRT_STATUS)failing_status
#define ALIVE(handle) \
    if (!(handle)->alive) note("%s: DEAD handle", __func__)

NRT_STATUS nrt_init(nrt_framework_type_t framework, const char *fw_version, const char *fal_version) {
    note("init %d '%s' '%s'", (int)framework, fw_version, fal_version);
    FAIL_IF_ASKED();
    return NRT_SUCCESS;
}
void nrt_close(void) { note("close"); }

NRT_STATUS nrt_load(const void *neff, size_t size, int32_t vnc, int32_t vnc_count, nrt_model_t **model) {
    note("load %.*s vnc %d count %d", (int)size, (const char *)neff, (int)vnc, (int)vnc_count);
    FAIL_IF_ASKED();
    *model = calloc(1, sizeof **model);
    (*model)->id = ++ids;
    (*model)->alive = 1;
    return NRT_SUCCESS;
}
NRT_STATUS nrt_unload(nrt_model_t *model) {
    ALIVE(model);
    model->alive = 0;
    note("unload %d", model->id);
    return NRT_SUCCESS;
}
NRT_STATUS nrt_get_model_nc_count(const nrt_model_t *model, uint32_t *count) {
    ALIVE(model);
    FAIL_IF_ASKED();
    *count = 1;
    return NRT_SUCCESS;
}
NRT_STATUS nrt_get_model_instance_count(nrt_model_t *model, uint32_t *count) {
    ALIVE(model);
    FAIL_IF_ASKED();
    *count = 2;
    return NRT_SUCCESS;
}
NRT_STATUS nrt_get_model_tensor_info(nrt_model_t *model, nrt_tensor_info_array_t **info) {
    ALIVE(model);
    FAIL_IF_ASKED();
    note("info %d", model->id);
    *info = calloc(1, sizeof **info + 2 * sizeof(nrt_tensor_info_t));
    (*info)->tensor_count = 2;
    for (int i = 0; i < 2; i++) {
        nrt_tensor_info_t *tensor = &(*info)->tensor_array[i];
        strcpy(tensor->name, i ? "y" : "x");
        tensor->usage = (nrt_tensor_usage_t)(i ? INFO_USAGE : NRT_TENSOR_USAGE_INPUT);
        tensor->size = 16;
        tensor->dtype = (nrt_dtype_t)(i ? INFO_DTYPE : NRT_DTYPE_FLOAT32);
        tensor->ndim = i ? INFO_NDIM : 2;
        tensor->shape = calloc(2, sizeof(uint32_t));
        tensor->shape[0] = tensor->shape[1] = 2;
    }
    return NRT_SUCCESS;
}
NRT_STATUS nrt_free_model_tensor_info(nrt_tensor_info_array_t *info) {
    note("free info");
    free(info->tensor_array[0].shape);
    free(info->tensor_array[1].shape);
    free(info);
    return NRT_SUCCESS;
}

static nrt_tensor_t *new_tensor(char *data, size_t size) {
    nrt_tensor_t *tensor = calloc(1, sizeof *tensor);
    tensor->id = ++ids;
    tensor->alive = 1;
    tensor->data = data;
    tensor->size = size;
    return tensor;
}
NRT_STATUS nrt_tensor_allocate(nrt_tensor_placement_t placement, int vnc, size_t size, const char *name,
                               nrt_tensor_t **tensor) {
    FAIL_IF_ASKED();
    *tensor = new_tensor(calloc(1, size + 1), size);
    note("tensor %d %s placement %d vnc %d size %zu", (*tensor)->id, name, (int)placement, vnc, size);
    return NRT_SUCCESS;
}
NRT_STATUS nrt_tensor_allocate_empty(const char *name, nrt_tensor_t **tensor) {
    FAIL_IF_ASKED();
    *tensor = new_tensor(NULL, 0);
    note("tensor %d %s empty", (*tensor)->id, name);
    return NRT_SUCCESS;
}
NRT_STATUS nrt_tensor_attach_buffer(nrt_tensor_t *tensor, void *buffer, size_t size) {
    ALIVE(tensor);
    FAIL_IF_ASKED();
    note("attach %d size %zu", tensor->id, size);
    tensor->data = buffer;
    tensor->size = size;
    return NRT_SUCCESS;
}
NRT_STATUS nrt_tensor_allocate_slice(const nrt_tensor_t *source, size_t offset, size_t size, const char *name,
                                     nrt_tensor_t **slice) {
    ALIVE(source);
    FAIL_IF_ASKED();
    *slice = new_tensor(source->data + offset, size);
    note("tensor %d %s slice of %d at %zu size %zu", (*slice)->id, name, source->id, offset, size);
    return NRT_SUCCESS;
}
void nrt_tensor_free(nrt_tensor_t **tensor) {
    ALIVE(*tensor);
    (*tensor)->alive = 0;
    note("free tensor %d", (*tensor)->id);
    *tensor = NULL;
}
NRT_STATUS nrt_tensor_read(const nrt_tensor_t *tensor, void *buf, size_t offset, size_t size) {
    ALIVE(tensor);
    FAIL_IF_ASKED();
    if (offset + size > tensor->size) note("read: OUT of bounds");
    memcpy(buf, tensor->data + offset, size);
    return NRT_SUCCESS;
}
NRT_STATUS nrt_tensor_write(nrt_tensor_t *tensor, const void *buf, size_t offset, size_t size) {
    ALIVE(tensor);
    FAIL_IF_ASKED();
    if (offset + size > tensor->size) note("write: OUT of bounds");
    memcpy(tensor->data + offset, buf, size);
    return NRT_SUCCESS;
}
NRT_STATUS nrt_tensor_copy(const nrt_tensor_t *src, size_t src_offset, nrt_tensor_t *dst, size_t dst_offset,
                           size_t size) {
    ALIVE(src);
    ALIVE(dst);
    FAIL_IF_ASKED();
    if (src_offset + size > src->size || dst_offset + size > dst->size) note("copy: OUT of bounds");
    memcpy(dst->data + dst_offset, src->data + src_offset, size);
    return NRT_SUCCESS;
}

NRT_STATUS nrt_allocate_tensor_set(nrt_tensor_set_t **result) {
    FAIL_IF_ASKED();
    struct nrt_tensor_set *set = calloc(1, sizeof *set);
    set->id = ++ids;
    set->alive = 1;
    note("set %d", set->id);
    *result = set;
    return NRT_SUCCESS;
}
void nrt_destroy_tensor_set(nrt_tensor_set_t **handle) {
    struct nrt_tensor_set *set = *handle;
    ALIVE(set);
    for (int i = 0; i < set->count; i++) ALIVE(set->tensors[i]);
    set->alive = 0;
    note("destroy set %d", set->id);
    *handle = NULL;
}
NRT_STATUS nrt_add_tensor_to_tensor_set(nrt_tensor_set_t *handle, const char *name, nrt_tensor_t *tensor) {
    struct nrt_tensor_set *set = handle;
    ALIVE(set);
    ALIVE(tensor);
    FAIL_IF_ASKED();
    note("add %d as %s to set %d", tensor->id, name, set->id);
    set->names[set->count] = strdup(name);
    set->tensors[set->count++] = tensor;
    return NRT_SUCCESS;
}
static nrt_tensor_t *find(const struct nrt_tensor_set *set, const char *name) {
    for (int i = 0; i < set->count; i++) {
        if (strcmp(set->names[i], name) == 0) return set->tensors[i];
    }
    return NULL;
}

NRT_STATUS nrt_execute(nrt_model_t *model, const nrt_tensor_set_t *inputs, nrt_tensor_set_t *outputs) {
    const struct nrt_tensor_set *in = inputs, *out = outputs;
    ALIVE(model);
    ALIVE(in);
    ALIVE(out);
    FAIL_IF_ASKED();
    nrt_tensor_t *x = find(in, "x"), *y = find(out, "y");
    if (!x || !y || x->size != 16 || y->size != 16) return NRT_EXEC_BAD_INPUT;
    ALIVE(x);
    ALIVE(y);
    pthread_mutex_lock(&lock);
    if (++running > most_running) most_running = running;
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 4; i++) {
        float value;
        memcpy(&value, x->data + 4 * i, 4);
        value *= 2;
        memcpy(y->data + 4 * i, &value, 4);
    }
    /* Long enough for others to come in, if they are let. */
    struct timespec pause = {0, 20 * 1000 * 1000};
    nanosleep(&pause, NULL);
    pthread_mutex_lock(&lock);
    running--;
    pthread_mutex_unlock(&lock);
    return NRT_SUCCESS;
}
NRT_STATUS nrt_execute_repeat(nrt_model_t *model, const nrt_tensor_set_t *inputs,
                              nrt_tensor_set_t *outputs, int count) {
    const struct nrt_tensor_set *in = inputs, *out = outputs;
    ALIVE(model);
    ALIVE(in);
    ALIVE(out);
    note("repeat %d", count);
    FAIL_IF_ASKED();
    return NRT_SUCCESS;
}

NRT_STATUS nrt_get_total_nc_count(uint32_t *count) {
    FAIL_IF_ASKED();
    *count = 32;
    return NRT_SUCCESS;
}
NRT_STATUS nrt_get_visible_nc_count(uint32_t *count) {
    FAIL_IF_ASKED();
    *count = 3;
    return NRT_SUCCESS;
}
NRT_STATUS nrt_get_version(nrt_version_t *version, size_t size) {
    FAIL_IF_ASKED();
    if (size != sizeof *version) note("get_version: a struct of %zu bytes", size);
    version->rt_major = MAJOR;
    version->rt_minor = 20;
    version->rt_patch = 3;
    version->rt_maintenance = 1;
    strcpy(version->rt_detail, "a fake");
    return NRT_SUCCESS;
}
