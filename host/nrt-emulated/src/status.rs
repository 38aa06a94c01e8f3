//! [`Status`]: the codes of `nrt_status.h`.

use std::ffi::{CStr, c_uint};

macro_rules! statuses {
    ($($variant:ident = $code:literal, $name:literal;)*) => {
        /// A status code of the Neuron Runtime; `nrt_status.h` says what each means.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(dead_code, reason = "some cannot occur without hardware, and are only names here")]
        pub(crate) enum Status {
            $($variant = $code,)*
        }

        /// The name of a code, or a text that says that it is none.
        pub(crate) fn name(code: c_uint) -> &'static CStr {
            match code {
                $($code => $name,)*
                _ => c"not an NRT_STATUS",
            }
        }
    };
}

statuses! {
    Success = 0, c"NRT_SUCCESS";
    Failure = 1, c"NRT_FAILURE";
    Invalid = 2, c"NRT_INVALID";
    InvalidHandle = 3, c"NRT_INVALID_HANDLE";
    Resource = 4, c"NRT_RESOURCE";
    Timeout = 5, c"NRT_TIMEOUT";
    HwError = 6, c"NRT_HW_ERROR";
    QueueFull = 7, c"NRT_QUEUE_FULL";
    LoadNotEnoughNc = 9, c"NRT_LOAD_NOT_ENOUGH_NC";
    UnsupportedNeffVersion = 10, c"NRT_UNSUPPORTED_NEFF_VERSION";
    FailHostMemAlloc = 11, c"NRT_FAIL_HOST_MEM_ALLOC";
    Uninitialized = 13, c"NRT_UNINITIALIZED";
    Closed = 14, c"NRT_CLOSED";
    QueueEmpty = 15, c"NRT_QUEUE_EMPTY";
    ExecUnitUnrecoverable = 101, c"NRT_EXEC_UNIT_UNRECOVERABLE";
    ExecBadInput = 1002, c"NRT_EXEC_BAD_INPUT";
    ExecCompletedWithNumErr = 1003, c"NRT_EXEC_COMPLETED_WITH_NUM_ERR";
    ExecCompletedWithErr = 1004, c"NRT_EXEC_COMPLETED_WITH_ERR";
    ExecNcBusy = 1005, c"NRT_EXEC_NC_BUSY";
    ExecOob = 1006, c"NRT_EXEC_OOB";
    CollPending = 1100, c"NRT_COLL_PENDING";
    ExecHwErrCollectives = 1200, c"NRT_EXEC_HW_ERR_COLLECTIVES";
    ExecHwErrHbmUe = 1201, c"NRT_EXEC_HW_ERR_HBM_UE";
    ExecHwErrNcUe = 1202, c"NRT_EXEC_HW_ERR_NC_UE";
    ExecHwErrDmaAbort = 1203, c"NRT_EXEC_HW_ERR_DMA_ABORT";
    ExecSwNqOverflow = 1204, c"NRT_EXEC_SW_NQ_OVERFLOW";
    ExecHwErrRepairableHbmUe = 1205, c"NRT_EXEC_HW_ERR_REPAIRABLE_HBM_UE";
    NetworkProxyFailure = 1206, c"NRT_NETWORK_PROXY_FAILURE";
}
