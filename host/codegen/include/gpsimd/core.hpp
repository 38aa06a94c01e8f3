// One core during a launch: its TCM, and the copies between TCM and the tensors of the launch.
#ifndef GPSIMD_CORE_HPP
#define GPSIMD_CORE_HPP

#include <gpsimd/coherence.hpp>
#include <gpsimd/frame.hpp>

namespace gpsimd {

// What a tensor handle leads to.
struct TensorData {
  gpsimd_tensor_type type;
  uint64_t len;
  const char *name;   // in messages
  int64_t index;      // among the launch's tensors; -1: the op's own, in host memory
  char *memory;       // elements, where they can be reached without a DMA; null otherwise
  size_t element_bytes;
  OpenAccesses open = {};
};

// That no stream of `tensor` is open when `call` writes to it.
inline void expect_unstreamed(const TensorData &tensor, const char *call, Location where) {
  tensor.open.expect_closed(Access::WriteStream, call, tensor.name, where);
  tensor.open.expect_closed(Access::ReadStream, call, tensor.name, where);
}

// TCM that an op holds, or has given back out of order.
struct TcmBuffer {
  char *start;
  size_t bytes;
  bool is_live;
  Location where;  // it was asked for
};

struct Core {
  const gpsimd_device *device;
  bool is_multicore;
  bool took_output;         // `get_dst_tensor` was called
  TensorData *output;
  unsigned char fresh[8];   // what memory holds that nobody wrote
  uint32_t buffer_count;
  TcmBuffer buffers[1024];  // all that 64 KiB, a core's whole TCM, can hold
  size_t refused_bytes;     // of the last `tcm_malloc` that gave null; 0 if none did
  uint32_t refused_left;
  Location refused_where;

  void *allocate(size_t bytes, Location where) {
    const gpsimd_location location = where.abi();
    // Nothing is still a buffer of its own; more than the address space of the core is never there.
    const uint32_t asked = bytes == 0 ? 1u : bytes > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(bytes);
    void *tcm = device->tcm_alloc(device->context, asked, &location);
    if (tcm == nullptr) {
      refused_bytes = bytes;
      refused_left = device->tcm_left(device->context);
      refused_where = where;
    } else {
      buffers[buffer_count++] = TcmBuffer{static_cast<char *>(tcm), asked, true, where};
    }
    return tcm;
  }

  // What a stream keeps its elements in; null when there is no room, which is not a mistake of the op's.
  void *allocate_if_free(size_t bytes, Location where) {
    return device->tcm_left(device->context) < bytes ? nullptr : allocate(bytes, where);
  }

  // In any order, as the vendor's documentation names none; the emulator's pool is a stack, so that space is had again
  // when what was allocated later is free, too.
  void release(void *tcm, Location where) {
    if (tcm == nullptr) return;  // as on the device
    TcmBuffer *buffer = nullptr;
    for (uint32_t i = buffer_count; i-- > 0 && buffer == nullptr;) {
      if (buffers[i].start == tcm && buffers[i].is_live) buffer = &buffers[i];
    }
    if (buffer == nullptr) refuse(where, "`tcm_free` of what `tcm_malloc` did not give, or what was freed before");
    buffer->is_live = false;
    const gpsimd_location location = where.abi();
    while (buffer_count > 0 && !buffers[buffer_count - 1].is_live) {
      device->tcm_free(device->context, buffers[--buffer_count].start, &location);
    }
  }

  // The buffer, live or not, that `tcm` leads into.
  const TcmBuffer *buffer_at(const void *tcm) const {
    for (uint32_t i = 0; i < buffer_count; ++i) {
      const uintptr_t start = reinterpret_cast<uintptr_t>(buffers[i].start);
      const uintptr_t at = reinterpret_cast<uintptr_t>(tcm);
      if (at >= start && at - start < buffers[i].bytes) return &buffers[i];
    }
    return nullptr;
  }

  void load(const TensorData &tensor, uint64_t start, uint64_t len, void *tcm, Location where) {
    verify_tcm("load", tensor, start, len, tcm, where);
    if (tensor.index < 0) {
      memcpy(tcm, tensor.memory + start * tensor.element_bytes, len * tensor.element_bytes);
      return;
    }
    const gpsimd_location location = where.abi();
    const uint32_t index = static_cast<uint32_t>(tensor.index);
    if (device->load(device->context, index, start, len, tcm, &location) != GPSIMD_STATUS_OK) stop(*current_frame());
  }

  void store(const TensorData &tensor, uint64_t start, uint64_t len, const void *tcm, Location where) {
    verify_tcm("store", tensor, start, len, tcm, where);
    if (tensor.index < 0) {
      memcpy(tensor.memory + start * tensor.element_bytes, tcm, len * tensor.element_bytes);
      return;
    }
    const gpsimd_location location = where.abi();
    const uint32_t index = static_cast<uint32_t>(tensor.index);
    if (device->store(device->context, index, start, len, tcm, &location) != GPSIMD_STATUS_OK) stop(*current_frame());
  }

  // Copies elements of any tensor to or from host memory, for the calls of the API that need no TCM of the op.
  void read(const TensorData &tensor, uint64_t start, uint64_t len, void *host, Location where) {
    transfer(tensor, start, len, static_cast<char *>(host), nullptr, where);
  }

  void write(const TensorData &tensor, uint64_t start, uint64_t len, const void *host, Location where) {
    transfer(tensor, start, len, nullptr, static_cast<const char *>(host), where);
  }

 private:
  // The emulator verifies all that it can see; it does not know the op's own tensors, nor what was freed out of order.
  void verify_tcm(const char *what, const TensorData &tensor, uint64_t start, uint64_t len, const void *tcm,
                  Location where) const {
    const unsigned long long from = start, count = len, end = start + len;
    const TcmBuffer *buffer = len == 0 ? nullptr : buffer_at(tcm);
    if (buffer != nullptr && !buffer->is_live) {
      refuse(where, "%s of elements %llu..%llu of `%s` with TCM that was freed", what, from, end, tensor.name);
    }
    if (tcm == nullptr && len != 0 && refused_bytes != 0) {
      refuse(where, "%s of elements %llu..%llu of `%s` with a null TCM pointer: `tcm_malloc` of %zu bytes in line %u of %s "
             "gave null, %u were left", what, from, end, tensor.name, refused_bytes, refused_where.line,
             refused_where.file, refused_left);
    }
    if (tensor.index >= 0) return;
    if (start > tensor.len || len > tensor.len - start) {
      refuse(where, "%s of %llu elements from element %llu of `%s` goes past its end: it has %llu elements", what, count,
             from, tensor.name, static_cast<unsigned long long>(tensor.len));
    }
    if (len == 0) return;
    if (tcm == nullptr) {
      refuse(where, "%s of elements %llu..%llu of `%s` with a null TCM pointer: check what `tcm_malloc` returned", what, from,
             end, tensor.name);
    }
    if (buffer == nullptr) {
      refuse(where, "%s of elements %llu..%llu of `%s` with an address that is in no buffer of `tcm_malloc`", what, from,
             end, tensor.name);
    }
    const size_t left = buffer->bytes - static_cast<size_t>(static_cast<const char *>(tcm) - buffer->start);
    if (len * tensor.element_bytes > left) {
      refuse(where, "%s of elements %llu..%llu of `%s` goes %llu bytes past the end of its TCM buffer", what, from, end,
             tensor.name, static_cast<unsigned long long>(len * tensor.element_bytes - left));
    }
  }

  void transfer(const TensorData &tensor, uint64_t start, uint64_t len, char *out, const char *in, Location where) {
    const size_t bytes = tensor.element_bytes;
    // What an op may not do with a tensor of the launch goes to the emulator, which says so.
    const bool is_allowed = tensor.index < 0 || (&tensor == output) == (in != nullptr);
    if (tensor.memory != nullptr && is_allowed) {
      const gpsimd_location location = where.abi();
      // Elements of an output belong to the core that writes them.
      if (in != nullptr && tensor.index >= 0 &&
          device->claim(device->context, static_cast<uint32_t>(tensor.index), start, len, &location) != GPSIMD_STATUS_OK) {
        stop(*current_frame());
      }
      char *memory = tensor.memory + start * bytes;
      if (out != nullptr) memcpy(out, memory, len * bytes);
      if (in != nullptr) memcpy(memory, in, len * bytes);
      return;
    }
    // Without an address the tensor is reached through TCM alone: a little that is free, or else a little of a buffer,
    // which then holds again what it held.
    enum { LINE = 64 };
    char *tcm = nullptr;
    size_t capacity = LINE;
    const TcmBuffer *borrowed = nullptr;
    const uint32_t left = device->tcm_left(device->context);
    if (left >= LINE) {
      while (capacity < len * bytes && capacity * 2 <= left && capacity < 4096) capacity *= 2;
      tcm = static_cast<char *>(device->tcm_alloc(device->context, static_cast<uint32_t>(capacity), nullptr));
    } else {
      for (uint32_t i = 0; i < buffer_count && borrowed == nullptr; ++i) {
        if (buffers[i].bytes >= LINE) borrowed = &buffers[i];
      }
      if (borrowed == nullptr) refuse(where, "no %d bytes of TCM in one piece to reach `%s` with", LINE, tensor.name);
      tcm = borrowed->start;
    }
    char held[LINE];
    memcpy(held, tcm, LINE);
    const gpsimd_location location = where.abi();
    const uint32_t index = static_cast<uint32_t>(tensor.index);
    for (uint64_t done = 0; done < len;) {
      const uint64_t count = len - done < capacity / bytes ? len - done : capacity / bytes;
      uint32_t status;
      if (out != nullptr) {
        status = device->load(device->context, index, start + done, count, tcm, &location);
        memcpy(out + done * bytes, tcm, count * bytes);
      } else {
        memcpy(tcm, in + done * bytes, count * bytes);
        status = device->store(device->context, index, start + done, count, tcm, &location);
      }
      if (status != GPSIMD_STATUS_OK) stop(*current_frame());
      done += count;
    }
    if (borrowed == nullptr) {
      device->tcm_free(device->context, tcm, nullptr);
    } else {
      memcpy(tcm, held, LINE);
    }
  }
};

inline void report(Core &core, uint32_t code, const char *message, Location where) {
  const gpsimd_location location = where.abi();
  core.device->fail(core.device->context, code, gpsimd_text{message, strlen(message)}, &location);
}

// The core that the op runs on; `call` is what needs one.
inline Core &core_for(const char *call, Location where) {
  Frame *frame = current_frame();
  if (frame == nullptr || frame->core == nullptr) {
    refuse(where, "`%s` in a shape function, which may look at shapes only", call);
  }
  return *frame->core;
}

}  // namespace gpsimd

#endif
