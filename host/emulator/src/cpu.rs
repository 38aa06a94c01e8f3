//! Which of a library's CPU features this CPU has.

/// Whether this CPU has the feature called `name`; `None` for a name that this host does not know.
///
/// Names are those of `is_x86_feature_detected!`. They say nothing on another architecture, where every one is granted.
#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
pub(crate) fn has_feature(name: &str) -> Option<bool> {
    // The macro takes literals only.
    macro_rules! detect {
        ($($feature:tt)*) => {
            match name {
                $($feature => Some(std::arch::is_x86_feature_detected!($feature)),)*
                _ => None,
            }
        };
    }
    detect! {
        "aes" "pclmulqdq" "rdrand" "rdseed" "tsc" "mmx" "sse" "sse2" "sse3" "ssse3" "sse4.1" "sse4.2" "sse4a" "sha"
        "avx" "avx2" "avx512f" "avx512cd" "avx512er" "avx512pf" "avx512bw" "avx512dq" "avx512vl" "avx512ifma"
        "avx512vbmi" "avx512vpopcntdq" "avx512vbmi2" "gfni" "vaes" "vpclmulqdq" "avx512vnni" "avx512bitalg"
        "avx512bf16" "avx512vp2intersect" "avx512fp16" "avxvnni" "avxifma" "avxneconvert" "avxvnniint8"
        "avxvnniint16" "f16c" "fma" "bmi1" "bmi2" "lzcnt" "tbm" "popcnt" "fxsr" "xsave" "xsaveopt" "xsaves" "xsavec"
        "cmpxchg16b" "adx" "rtm" "movbe" "sha512" "sm3" "sm4"
    }
}

/// Whether this CPU has the feature called `name`; `None` for a name that this host does not know.
#[cfg(not(any(target_arch = "x86_64", target_arch = "x86")))]
pub(crate) fn has_feature(_name: &str) -> Option<bool> {
    Some(true)
}
