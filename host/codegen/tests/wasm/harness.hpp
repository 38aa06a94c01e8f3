// What stands before the modules of a test library: the trap that returns to the test, the values that cross the C
// boundary as 64 bits each, and the imports of the specification's test host.

#define GPSIMD_EMULATED
namespace torch { namespace neuron {
[[noreturn]] void gpsimd_trap(const char* message);
} }

//! PRELUDE

// A trap leaves calls open. Modules without recursive functions count none.
template <class Instance> static inline auto close_calls(Instance& w, int) -> decltype((void)w.open_calls) {
  w.open_calls = 0;
}
template <class Instance> static inline void close_calls(Instance&, long) {}

template <class T> struct Bits;
template <> struct Bits<u32> {
  static u32 from(u64 bits) { return (u32)bits; }
  static u64 to(u32 value) { return value; }
};
template <> struct Bits<u64> {
  static u64 from(u64 bits) { return bits; }
  static u64 to(u64 value) { return value; }
};
template <> struct Bits<f32> {
  static f32 from(u64 bits) { return f32_reinterpret_i32((u32)bits); }
  static u64 to(f32 value) { return i32_reinterpret_f32(value); }
};
template <> struct Bits<f64> {
  static f64 from(u64 bits) { return f64_reinterpret_i64(bits); }
  static u64 to(f64 value) { return i64_reinterpret_f64(value); }
};

template <class T> static inline u64 to_bits(T value) { return Bits<T>::to(value); }

template <class Instance> static inline void import_spectest_print(Instance&, u8*) {}
template <class Instance> static inline void import_spectest_print_i32(Instance&, u8*, u32) {}
template <class Instance> static inline void import_spectest_print_i64(Instance&, u8*, u64) {}
template <class Instance> static inline void import_spectest_print_f32(Instance&, u8*, f32) {}
template <class Instance> static inline void import_spectest_print_f64(Instance&, u8*, f64) {}
template <class Instance> static inline void import_spectest_print_i32_f32(Instance&, u8*, u32, f32) {}
template <class Instance> static inline void import_spectest_print_f64_f64(Instance&, u8*, f64, f64) {}
