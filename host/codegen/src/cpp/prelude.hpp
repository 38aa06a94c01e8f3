// What WebAssembly's instructions mean, in C++14. One function per instruction that plain operators on unsigned
// integers and IEEE floats do not express exactly, named after it with underscores for dots. Integers are unsigned
// everywhere (wrapping is defined for them); a signed view is taken where an instruction asks for one.

#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "WebAssembly's memory is little-endian, and this code reads it in place"
#endif
#ifdef __FAST_MATH__
#error "-ffast-math changes results: compile without it"
#endif
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF  // a fused multiply-add only where the source says fma
#endif

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;
typedef float f32;
typedef double f64;

#define GPSIMD_INLINE static inline __attribute__((unused, always_inline))

// Ends the launch with a message: under emulation through the emulator, on a core by printing and aborting.
#if defined GPSIMD_TRAP  // defined above, with the function
#elif defined GPSIMD_EMULATED
using torch::neuron::gpsimd_trap;
#else
#include <stdio.h>
#include <stdlib.h>
[[noreturn]] __attribute__((unused, noinline, cold)) static void gpsimd_trap(const char* message) {
  printf("gpsimd: %s\n", message);
  abort();
}
#endif

// ---- Integers: division, shifts, counting; the same for both widths ----

#define GPSIMD_INTEGER(T, U, S, BITS, MIN, CLZ, CTZ, POPCOUNT)                                           \
  GPSIMD_INLINE U T##_div_u(U a, U b) {                                                                  \
    if (b == 0) gpsimd_trap("integer divide by zero");                                                   \
    return a / b;                                                                                        \
  }                                                                                                      \
  GPSIMD_INLINE U T##_rem_u(U a, U b) {                                                                  \
    if (b == 0) gpsimd_trap("integer divide by zero");                                                   \
    return a % b;                                                                                        \
  }                                                                                                      \
  GPSIMD_INLINE U T##_div_s(U a, U b) {                                                                  \
    if (b == 0) gpsimd_trap("integer divide by zero");                                                   \
    if (a == (MIN) && b == (U)-1) gpsimd_trap("integer overflow");                                       \
    return (U)((S)a / (S)b);                                                                             \
  }                                                                                                      \
  GPSIMD_INLINE U T##_rem_s(U a, U b) {                                                                  \
    if (b == 0) gpsimd_trap("integer divide by zero");                                                   \
    return b == (U)-1 ? 0 : (U)((S)a % (S)b); /* MIN % -1 is 0, but undefined in C++ */                  \
  }                                                                                                      \
  GPSIMD_INLINE U T##_shr_s(U a, U n) { return (U)((S)a >> (n & (BITS - 1))); }                          \
  GPSIMD_INLINE U T##_rotl(U a, U n) { return (a << (n & (BITS - 1))) | (a >> ((0 - n) & (BITS - 1))); } \
  GPSIMD_INLINE U T##_rotr(U a, U n) { return (a >> (n & (BITS - 1))) | (a << ((0 - n) & (BITS - 1))); } \
  GPSIMD_INLINE U T##_clz(U a) { return a ? (U)CLZ(a) : BITS; }                                          \
  GPSIMD_INLINE U T##_ctz(U a) { return a ? (U)CTZ(a) : BITS; }                                          \
  GPSIMD_INLINE U T##_popcnt(U a) { return (U)POPCOUNT(a); }

GPSIMD_INTEGER(i32, u32, i32, 32, 0x80000000u, __builtin_clz, __builtin_ctz, __builtin_popcount)
GPSIMD_INTEGER(i64, u64, i64, 64, 0x8000000000000000u, __builtin_clzll, __builtin_ctzll, __builtin_popcountll)
#undef GPSIMD_INTEGER

GPSIMD_INLINE u32 i32_wrap_i64(u64 a) { return (u32)a; }
GPSIMD_INLINE u32 i32_extend8_s(u32 a) { return (u32)(i8)a; }
GPSIMD_INLINE u32 i32_extend16_s(u32 a) { return (u32)(i16)a; }
GPSIMD_INLINE u64 i64_extend8_s(u64 a) { return (u64)(i8)a; }
GPSIMD_INLINE u64 i64_extend16_s(u64 a) { return (u64)(i16)a; }
GPSIMD_INLINE u64 i64_extend32_s(u64 a) { return (u64)(i32)a; }
GPSIMD_INLINE u64 i64_extend_i32_s(u32 a) { return (u64)(i32)a; }
GPSIMD_INLINE u64 i64_extend_i32_u(u32 a) { return a; }

// ---- Bit patterns ----

#define GPSIMD_REINTERPRET(NAME, FROM, TO)    \
  GPSIMD_INLINE TO NAME(FROM from) {          \
    TO to;                                    \
    __builtin_memcpy(&to, &from, sizeof(to)); \
    return to;                                \
  }

GPSIMD_REINTERPRET(i32_reinterpret_f32, f32, u32)
GPSIMD_REINTERPRET(f32_reinterpret_i32, u32, f32)
GPSIMD_REINTERPRET(i64_reinterpret_f64, f64, u64)
GPSIMD_REINTERPRET(f64_reinterpret_i64, u64, f64)
#undef GPSIMD_REINTERPRET

// ---- Floats ----
// abs, neg and copysign touch the sign bit only, of a NaN too. All others make a NaN quiet, which a + a does and C++'s
// own functions and conversions need not. min and max give a NaN where an operand is one, and order -0 before +0; they
// are selections without a branch, so that loops over them vectorise.

#define GPSIMD_FLOAT(F, BITS, F_OF_BITS, BITS_OF_F, BUILTIN)                                        \
  GPSIMD_INLINE F F##_abs(F a) { return BUILTIN(fabs)(a); }                                         \
  GPSIMD_INLINE F F##_neg(F a) { return -a; }                                                       \
  GPSIMD_INLINE F F##_copysign(F a, F b) { return BUILTIN(copysign)(a, b); }                        \
  GPSIMD_INLINE F F##_ceil(F a) { return a != a ? a + a : BUILTIN(ceil)(a); }                       \
  GPSIMD_INLINE F F##_floor(F a) { return a != a ? a + a : BUILTIN(floor)(a); }                     \
  GPSIMD_INLINE F F##_trunc(F a) { return a != a ? a + a : BUILTIN(trunc)(a); }                     \
  GPSIMD_INLINE F F##_nearest(F a) { return a != a ? a + a : BUILTIN(rint)(a); } /* ties to even */ \
  GPSIMD_INLINE F F##_sqrt(F a) { return BUILTIN(sqrt)(a); }                                        \
  GPSIMD_INLINE F F##_min(F a, F b) {                                                               \
    F less = a < b ? a : b;                                                                         \
    F ordered = a == b ? F_OF_BITS(BITS_OF_F(a) | BITS_OF_F(b)) : less;                             \
    return a != a || b != b ? a + b : ordered;                                                      \
  }                                                                                                 \
  GPSIMD_INLINE F F##_max(F a, F b) {                                                               \
    F greater = a > b ? a : b;                                                                      \
    F ordered = a == b ? F_OF_BITS(BITS_OF_F(a) & BITS_OF_F(b)) : greater;                          \
    return a != a || b != b ? a + b : ordered;                                                      \
  }

#define GPSIMD_BUILTIN_F32(NAME) __builtin_##NAME##f
#define GPSIMD_BUILTIN_F64(NAME) __builtin_##NAME
GPSIMD_FLOAT(f32, u32, f32_reinterpret_i32, i32_reinterpret_f32, GPSIMD_BUILTIN_F32)
GPSIMD_FLOAT(f64, u64, f64_reinterpret_i64, i64_reinterpret_f64, GPSIMD_BUILTIN_F64)
#undef GPSIMD_BUILTIN_F32
#undef GPSIMD_BUILTIN_F64
#undef GPSIMD_FLOAT

// ---- Conversions ----

GPSIMD_INLINE f32 f32_demote_f64(f64 a) { return (f32)(a != a ? a + a : a); }
GPSIMD_INLINE f64 f64_promote_f32(f32 a) { return (f64)a; }

#define GPSIMD_TO_FLOAT(F)                                       \
  GPSIMD_INLINE F F##_convert_i32_s(u32 a) { return (F)(i32)a; } \
  GPSIMD_INLINE F F##_convert_i32_u(u32 a) { return (F)a; }      \
  GPSIMD_INLINE F F##_convert_i64_s(u64 a) { return (F)(i64)a; } \
  GPSIMD_INLINE F F##_convert_i64_u(u64 a) { return (F)a; }

GPSIMD_TO_FLOAT(f32)
GPSIMD_TO_FLOAT(f64)
#undef GPSIMD_TO_FLOAT

// IN_RANGE holds for exactly the numbers whose truncation VIEW represents; C++ leaves the others undefined.
#define GPSIMD_TO_INTEGER(T, F, SIGN, U, VIEW, MIN, MAX, IN_RANGE)          \
  GPSIMD_INLINE U T##_trunc_##F##_##SIGN(F a) {                             \
    if (a != a) gpsimd_trap("invalid conversion to integer");               \
    if (!(IN_RANGE)) gpsimd_trap("integer overflow");                       \
    return (U)(VIEW)a;                                                      \
  }                                                                         \
  GPSIMD_INLINE U T##_trunc_sat_##F##_##SIGN(F a) {                         \
    return IN_RANGE ? (U)(VIEW)a : a > 0 ? (U)(MAX) : a < 0 ? (U)(MIN) : 0; \
  }

GPSIMD_TO_INTEGER(i32, f32, s, u32, i32, INT32_MIN, INT32_MAX, (a >= -2147483648.0f && a < 2147483648.0f))
GPSIMD_TO_INTEGER(i32, f32, u, u32, u32, 0, UINT32_MAX, (a > -1.0f && a < 4294967296.0f))
GPSIMD_TO_INTEGER(i32, f64, s, u32, i32, INT32_MIN, INT32_MAX, (a > -2147483649.0 && a < 2147483648.0))
GPSIMD_TO_INTEGER(i32, f64, u, u32, u32, 0, UINT32_MAX, (a > -1.0 && a < 4294967296.0))
GPSIMD_TO_INTEGER(i64, f32, s, u64, i64, INT64_MIN, INT64_MAX,
                  (a >= -9223372036854775808.0f && a < 9223372036854775808.0f))
GPSIMD_TO_INTEGER(i64, f32, u, u64, u64, 0, UINT64_MAX, (a > -1.0f && a < 18446744073709551616.0f))
GPSIMD_TO_INTEGER(i64, f64, s, u64, i64, INT64_MIN, INT64_MAX,
                  (a >= -9223372036854775808.0 && a < 9223372036854775808.0))
GPSIMD_TO_INTEGER(i64, f64, u, u64, u64, 0, UINT64_MAX, (a > -1.0 && a < 18446744073709551616.0))
#undef GPSIMD_TO_INTEGER

// ---- Loops ----

// A loop whose counter gets to its end if the distance is a multiple of the step, a power of two, and never otherwise.
// This says so where a vectoriser would not look at the loop any more.
GPSIMD_INLINE void expect_multiple(u64 distance, u32 step) {
  while ((distance & (step - 1)) != 0) __asm__ volatile("");
}

// ---- Memory ----
// m is the start of the linear memory, a the address, o the instruction's constant offset; their sum does not wrap.
// The plain form needs an address that its width divides; _unaligned takes any.

#define GPSIMD_LOAD(NAME, T, CELL)                              \
  typedef CELL __attribute__((may_alias)) NAME##_cell;          \
  GPSIMD_INLINE T NAME(const u8* m, u32 a, u32 o) {             \
    return (T)*(const NAME##_cell*)(m + (size_t)a + o);         \
  }                                                             \
  GPSIMD_INLINE T NAME##_unaligned(const u8* m, u32 a, u32 o) { \
    CELL v;                                                     \
    __builtin_memcpy(&v, m + (size_t)a + o, sizeof(v));         \
    return (T)v;                                                \
  }
#define GPSIMD_STORE(NAME, T, CELL)                               \
  typedef CELL __attribute__((may_alias)) NAME##_cell;            \
  GPSIMD_INLINE void NAME(u8* m, u32 a, u32 o, T v) {             \
    *(NAME##_cell*)(m + (size_t)a + o) = (CELL)v;                 \
  }                                                               \
  GPSIMD_INLINE void NAME##_unaligned(u8* m, u32 a, u32 o, T v) { \
    CELL cell = (CELL)v;                                          \
    __builtin_memcpy(m + (size_t)a + o, &cell, sizeof(cell));     \
  }

GPSIMD_LOAD(i32_load, u32, u32)
GPSIMD_LOAD(i32_load8_s, u32, i8)
GPSIMD_LOAD(i32_load8_u, u32, u8)
GPSIMD_LOAD(i32_load16_s, u32, i16)
GPSIMD_LOAD(i32_load16_u, u32, u16)
GPSIMD_LOAD(i64_load, u64, u64)
GPSIMD_LOAD(i64_load8_s, u64, i8)
GPSIMD_LOAD(i64_load8_u, u64, u8)
GPSIMD_LOAD(i64_load16_s, u64, i16)
GPSIMD_LOAD(i64_load16_u, u64, u16)
GPSIMD_LOAD(i64_load32_s, u64, i32)
GPSIMD_LOAD(i64_load32_u, u64, u32)
GPSIMD_LOAD(f32_load, f32, f32)
GPSIMD_LOAD(f64_load, f64, f64)
GPSIMD_STORE(i32_store, u32, u32)
GPSIMD_STORE(i32_store8, u32, u8)
GPSIMD_STORE(i32_store16, u32, u16)
GPSIMD_STORE(i64_store, u64, u64)
GPSIMD_STORE(i64_store8, u64, u8)
GPSIMD_STORE(i64_store16, u64, u16)
GPSIMD_STORE(i64_store32, u64, u32)
GPSIMD_STORE(f32_store, f32, f32)
GPSIMD_STORE(f64_store, f64, f64)
#undef GPSIMD_LOAD
#undef GPSIMD_STORE

GPSIMD_INLINE void memory_copy(u8* m, u32 d, u32 s, u32 n) { __builtin_memmove(m + d, m + s, n); }
GPSIMD_INLINE void memory_fill(u8* m, u32 d, u32 v, u32 n) { __builtin_memset(m + d, (int)(v & 0xff), n); }
