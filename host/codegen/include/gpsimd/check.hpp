// TORCH_CHECK: a condition, and what to say when it does not hold.
#ifndef GPSIMD_CHECK_HPP
#define GPSIMD_CHECK_HPP

#include <gpsimd/element.hpp>
#include <gpsimd/shape.hpp>

namespace gpsimd {

// A message put together of parts.
class Message {
 public:
  const char *text() const { return text_; }

  Message &add(const char *text) { return append("%s", text); }
  Message &add(char value) { return append("%c", value); }
  Message &add(bool value) { return append("%d", value); }
  Message &add(int value) { return append("%d", value); }
  Message &add(unsigned value) { return append("%u", value); }
  Message &add(long value) { return append("%ld", value); }
  Message &add(unsigned long value) { return append("%lu", value); }
  Message &add(long long value) { return append("%lld", value); }
  Message &add(unsigned long long value) { return append("%llu", value); }
  Message &add(double value) { return append("%g", value); }
  Message &add(c10::ScalarType type) { return add(element_info(type).name); }
  Message &add(const c10::IntArrayRef &sizes) {
    add("[");
    for (size_t i = 0; i < sizes.size(); ++i) add(i == 0 ? "" : ", ").add(sizes[i]);
    return add("]");
  }
  // A string.
  template <class Text>
  auto add(const Text &text) -> decltype(text.c_str(), *this) {
    return add(text.c_str());
  }

 private:
  __attribute__((format(printf, 2, 3))) Message &append(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int added = vsnprintf(text_ + len_, sizeof text_ - len_, format, arguments);
    va_end(arguments);
    if (added > 0) len_ += static_cast<size_t>(added);
    if (len_ > sizeof text_ - 1) len_ = sizeof text_ - 1;
    return *this;
  }

  char text_[MESSAGE_BYTES] = "";
  size_t len_ = 0;
};

[[noreturn]] inline void check_failed(Location where, const char *condition) {
  refuse(where, "expected %s to hold", condition);
}

template <class... Part>
[[noreturn]] void check_failed(Location where, const char *, const Part &...parts) {
  Message message;
  const int in_order[] = {(message.add(parts), 0)...};
  static_cast<void>(in_order);
  refuse(where, "%s", message.text());
}

}  // namespace gpsimd

#define TORCH_CHECK(condition, ...)                                                          \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      ::gpsimd::check_failed(::gpsimd::Location::here(), #condition, ##__VA_ARGS__);         \
    }                                                                                        \
  } while (false)

#endif
