//! The C headers of the runtime that programs are compiled against.

/// Path and text of every header, as they are in the SDK's `include`.
pub const HEADERS: &[(&str, &str)] = &[
    (
        "ndl/neuron_driver_shared_tensor_batch_op.h",
        include_str!("../include/ndl/neuron_driver_shared_tensor_batch_op.h"),
    ),
    ("nrt/nrt.h", include_str!("../include/nrt/nrt.h")),
    ("nrt/nrt_experimental.h", include_str!("../include/nrt/nrt_experimental.h")),
    ("nrt/nrt_profile.h", include_str!("../include/nrt/nrt_profile.h")),
    ("nrt/nrt_status.h", include_str!("../include/nrt/nrt_status.h")),
    ("nrt/nrt_version.h", include_str!("../include/nrt/nrt_version.h")),
];
