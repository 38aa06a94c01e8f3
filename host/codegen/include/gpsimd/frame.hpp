// What runs on this thread now: one core's part of a launch, or a shape function; and how it stops.
//
// There are no exceptions on a core. An op that does what would corrupt data on the device is stopped by a jump back to
// whoever called it, with the reason given to the emulator. Destructors of the op's frames do not run then, so nothing of
// these headers depends on one: tensors are handles, and what they lead to belongs to the frame.
#ifndef GPSIMD_FRAME_HPP
#define GPSIMD_FRAME_HPP

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gpsimd_abi.h>

namespace gpsimd {

struct Core;

// A line of the op's source.
struct Location {
  const char *file;
  uint32_t line;

  // As the default of a parameter: where the call stands.
  static constexpr Location here(const char *file = __builtin_FILE(), uint32_t line = __builtin_LINE()) {
    return Location{file, line};
  }

  gpsimd_location abi() const {
    return gpsimd_location{{file, file == nullptr ? 0 : strlen(file)}, line, 0};
  }
};

// Host memory that an op's own tensors live in, until the frame ends.
class Arena {
 public:
  void *allocate(size_t bytes) {
    Block *block = static_cast<Block *>(malloc(sizeof(Block) + bytes));
    if (block == nullptr) return nullptr;
    block->next = blocks_;
    blocks_ = block;
    return block + 1;
  }

  void release() {
    while (blocks_ != nullptr) {
      Block *next = blocks_->next;
      free(blocks_);
      blocks_ = next;
    }
  }

 private:
  struct alignas(64) Block {
    Block *next;
  };

  Block *blocks_ = nullptr;
};

enum { MESSAGE_BYTES = 1024 };

struct Frame {
  jmp_buf stop;
  Arena arena;
  Core *core = nullptr;             // null in a shape function
  char *message = nullptr;          // of MESSAGE_BYTES: where a shape function's refusal goes
  // Where a shape function says the types of several outputs, which it packs in the one tensor that it returns.
  gpsimd_tensor_type *outputs = nullptr;
  uint32_t output_count = 0;
};

// The frame of this thread: cores run on several threads at once.
inline Frame *&current_frame() {
  static thread_local Frame *frame = nullptr;
  return frame;
}

// Tells the core's host why it stops; defined with `Core`.
inline void report(Core &core, uint32_t code, const char *message, Location where);

// Ends the core's part, or the shape function, here.
[[noreturn]] inline void stop(Frame &frame) { longjmp(frame.stop, 1); }

[[noreturn]] inline void stop(uint32_t code, const char *message, Location where) {
  Frame *frame = current_frame();
  if (frame == nullptr) {
    // Not called by an emulator: there is nowhere to go back to.
    fprintf(stderr, "%s\n", message);
    __builtin_trap();
  }
  if (frame->core != nullptr) {
    report(*frame->core, code, message, where);
  } else {
    snprintf(frame->message, MESSAGE_BYTES, "%s", message);
  }
  stop(*frame);
}

// Stops with a message: the op did what it must not.
[[noreturn]] __attribute__((format(printf, 2, 3))) inline void refuse(Location where, const char *format, ...) {
  char message[MESSAGE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  stop(GPSIMD_FAILURE_REFUSED, message, where);
}

// Runs `call` in `frame`: whether it came to its end. A function of its own, so that what the frame's owner holds is not
// local to where the jump leads, where it would be lost.
template <class Call>
__attribute__((noinline)) bool runs_to_end(Frame &frame, const Call &call) {
  return setjmp(frame.stop) == 0 && (call(), true);
}

// Runs `call` in `frame` as this thread's.
template <class Call>
bool run_in(Frame &frame, const Call &call) {
  Frame *const before = current_frame();
  current_frame() = &frame;
  const bool succeeded = runs_to_end(frame, call);
  frame.arena.release();
  current_frame() = before;
  return succeeded;
}

}  // namespace gpsimd

#endif
