//! [`Status`]: what a call of the Neuron Runtime gave.

use super::bindings::{NRT_STATUS, NRT_SUCCESS};

/// A status other than success, as documented (`nrt_status.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// A number that the documentation does not have.
    Unknown(u32),
    /// Not further specified.
    Failure,
    /// An argument, a NEFF, an instruction or an input that is not valid.
    Invalid,
    /// A handle that is null or was not made by the runtime.
    InvalidHandle,
    /// Something that the runtime needs could not be allocated.
    Resource,
    /// Took longer than `NEURON_RT_EXEC_TIMEOUT`.
    Timeout,
    /// The hardware failed.
    HwError,
    /// Too many executions wait.
    QueueFull,
    /// The model wants more `NeuronCores` than there are.
    LoadNotEnoughNc,
    /// The NEFF is of another version than the runtime takes.
    UnsupportedNeffVersion,
    /// Host memory could not be allocated.
    FailHostMemAlloc,
    /// Called before `nrt_init`.
    Uninitialized,
    /// Called after `nrt_close`.
    Closed,
    /// Nothing waits.
    QueueEmpty,
    /// The engine does not come back without a reset.
    ExecUnitUnrecoverable,
    /// The inputs are not what the model wants.
    ExecBadInput,
    /// Finished, with NaN or infinities where none may be.
    ExecCompletedWithNumErr,
    /// Finished, with another error.
    ExecCompletedWithErr,
    /// The `NeuronCore` is in use, by another process or model.
    ExecNcBusy,
    /// An access out of the bounds of a tensor.
    ExecOob,
    /// A collective operation has not finished.
    CollPending,
    /// The hardware failed in a collective operation.
    ExecHwErrCollectives,
    /// An error in device memory that was not corrected.
    ExecHwErrHbmUe,
    /// An error in a `NeuronCore` that was not corrected.
    ExecHwErrNcUe,
    /// A DMA was aborted.
    ExecHwErrDmaAbort,
    /// The notification queue ran over.
    ExecSwNqOverflow,
    /// An error in device memory that a reset repairs.
    ExecHwErrRepairableHbmUe,
    /// The network proxy failed.
    NetworkProxyFailure,
}

impl Status {
    /// Every documented status but success, in order of the codes.
    pub const DOCUMENTED: [Self; 27] = [
        Self::Failure,
        Self::Invalid,
        Self::InvalidHandle,
        Self::Resource,
        Self::Timeout,
        Self::HwError,
        Self::QueueFull,
        Self::LoadNotEnoughNc,
        Self::UnsupportedNeffVersion,
        Self::FailHostMemAlloc,
        Self::Uninitialized,
        Self::Closed,
        Self::QueueEmpty,
        Self::ExecUnitUnrecoverable,
        Self::ExecBadInput,
        Self::ExecCompletedWithNumErr,
        Self::ExecCompletedWithErr,
        Self::ExecNcBusy,
        Self::ExecOob,
        Self::CollPending,
        Self::ExecHwErrCollectives,
        Self::ExecHwErrHbmUe,
        Self::ExecHwErrNcUe,
        Self::ExecHwErrDmaAbort,
        Self::ExecSwNqOverflow,
        Self::ExecHwErrRepairableHbmUe,
        Self::NetworkProxyFailure,
    ];

    /// The status of a code, or none for success.
    pub fn from_code(code: NRT_STATUS) -> Option<Self> {
        if code == NRT_SUCCESS {
            return None;
        }
        let documented = Self::DOCUMENTED.into_iter().find(|status| status.code() == code);
        Some(documented.unwrap_or(Self::Unknown(code)))
    }

    /// The code of `NRT_STATUS`.
    pub fn code(self) -> u32 {
        self.row().0
    }

    /// The name in C: `NRT_INVALID`.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What the documentation says of it.
    pub fn meaning(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (u32, &'static str, &'static str) {
        match self {
            Self::Unknown(code) => (code, "an undocumented status", "not among those of nrt_status.h"),
            Self::Failure => (1, "NRT_FAILURE", "not further specified"),
            Self::Invalid => (2, "NRT_INVALID", "an argument, a NEFF, an instruction or an input is not valid"),
            Self::InvalidHandle => (3, "NRT_INVALID_HANDLE", "a handle is null or was not made by the runtime"),
            Self::Resource => (4, "NRT_RESOURCE", "something that the runtime needs could not be allocated"),
            Self::Timeout => (5, "NRT_TIMEOUT", "it took longer than NEURON_RT_EXEC_TIMEOUT"),
            Self::HwError => (6, "NRT_HW_ERROR", "the hardware failed"),
            Self::QueueFull => (7, "NRT_QUEUE_FULL", "too many executions wait"),
            Self::LoadNotEnoughNc => (9, "NRT_LOAD_NOT_ENOUGH_NC", "the model wants more NeuronCores than there are"),
            Self::UnsupportedNeffVersion => {
                (10, "NRT_UNSUPPORTED_NEFF_VERSION", "the NEFF is of another version than the runtime takes")
            }
            Self::FailHostMemAlloc => (11, "NRT_FAIL_HOST_MEM_ALLOC", "host memory could not be allocated"),
            Self::Uninitialized => (13, "NRT_UNINITIALIZED", "it was called before nrt_init"),
            Self::Closed => (14, "NRT_CLOSED", "it was called after nrt_close"),
            Self::QueueEmpty => (15, "NRT_QUEUE_EMPTY", "nothing waits"),
            Self::ExecUnitUnrecoverable => {
                (101, "NRT_EXEC_UNIT_UNRECOVERABLE", "the engine does not come back without a reset")
            }
            Self::ExecBadInput => (1002, "NRT_EXEC_BAD_INPUT", "the inputs are not what the model wants"),
            Self::ExecCompletedWithNumErr => {
                (1003, "NRT_EXEC_COMPLETED_WITH_NUM_ERR", "it finished, with NaN or infinities where none may be")
            }
            Self::ExecCompletedWithErr => (1004, "NRT_EXEC_COMPLETED_WITH_ERR", "it finished, with an error"),
            Self::ExecNcBusy => (1005, "NRT_EXEC_NC_BUSY", "the NeuronCore is in use, by another process or model"),
            Self::ExecOob => (1006, "NRT_EXEC_OOB", "an access was out of the bounds of a tensor"),
            Self::CollPending => (1100, "NRT_COLL_PENDING", "a collective operation has not finished"),
            Self::ExecHwErrCollectives => {
                (1200, "NRT_EXEC_HW_ERR_COLLECTIVES", "the hardware failed in a collective operation")
            }
            Self::ExecHwErrHbmUe => {
                (1201, "NRT_EXEC_HW_ERR_HBM_UE", "an error in device memory was not corrected: results are wrong")
            }
            Self::ExecHwErrNcUe => {
                (1202, "NRT_EXEC_HW_ERR_NC_UE", "an error in a NeuronCore was not corrected: results are wrong")
            }
            Self::ExecHwErrDmaAbort => (1203, "NRT_EXEC_HW_ERR_DMA_ABORT", "a DMA was aborted"),
            Self::ExecSwNqOverflow => (1204, "NRT_EXEC_SW_NQ_OVERFLOW", "the notification queue ran over"),
            Self::ExecHwErrRepairableHbmUe => (
                1205,
                "NRT_EXEC_HW_ERR_REPAIRABLE_HBM_UE",
                "an error in device memory, which a reset repairs: results are wrong",
            ),
            Self::NetworkProxyFailure => (1206, "NRT_NETWORK_PROXY_FAILURE", "the network proxy failed"),
        }
    }

    /// What to do, where more is known than the meaning says; `call` is the function that gave it.
    pub fn hint(self, call: &str) -> Option<&'static str> {
        Some(match (self, call) {
            (Self::Invalid | Self::UnsupportedNeffVersion, "nrt_load") => {
                "`cargo gpsimd neff FILE` says whether it is a NEFF and of which version; it has to be of a compiler that \
                 this runtime is made for, or, for the emulated runtime, of `cargo gpsimd neff pack`"
            }
            (Self::Invalid | Self::ExecBadInput, "nrt_execute" | "nrt_execute_repeat") => {
                "the sets have to hold every tensor of `Model::inputs` and `Model::outputs`, by its name and of its size"
            }
            (Self::Failure | Self::Resource | Self::Invalid | Self::ExecNcBusy, "nrt_init") => {
                "is the Neuron driver loaded (aws-neuronx-dkms), and are the NeuronCores of NEURON_RT_VISIBLE_CORES or \
                 NEURON_RT_NUM_CORES there and not in use by another process"
            }
            (Self::ExecNcBusy, _) => "end the other process, or choose other NeuronCores in NEURON_RT_VISIBLE_CORES",
            (Self::LoadNotEnoughNc, _) => {
                "NEURON_RT_VISIBLE_CORES or NEURON_RT_NUM_CORES gives this process fewer NeuronCores than the model \
                 wants, or other models have them"
            }
            (Self::Timeout | Self::HwError | Self::ExecUnitUnrecoverable | Self::ExecCompletedWithErr, _) => {
                "after a process that ran a model with a custom op the runtime has to be reset before the next one, which \
                 times out or fails on the GPSIMD engine otherwise; was it? (a known issue of the SDK)"
            }
            (Self::FailHostMemAlloc | Self::Resource, _) => {
                "free tensors and models that are no longer needed, or use smaller ones"
            }
            (Self::ExecHwErrHbmUe | Self::ExecHwErrNcUe | Self::ExecHwErrDmaAbort, _) => {
                "discard the results; if it comes again, replace the instance"
            }
            (Self::ExecHwErrRepairableHbmUe, _) => "discard the results and reset the device",
            (Self::QueueFull, _) => "execute from fewer threads, or try again",
            (Self::Closed, _) => "the runtime is initialised once per process: keep the first `Runtime` alive",
            _ => return None,
        })
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name(), self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_and_its_status_are_the_same_thing() {
        assert_eq!(Status::from_code(NRT_SUCCESS), None);
        for status in Status::DOCUMENTED {
            assert_eq!(Status::from_code(status.code()), Some(status));
        }
    }

    #[test]
    fn a_code_that_is_not_documented_stays_the_number() {
        for code in [8, 12, 16, 1207, u32::MAX] {
            assert_eq!(Status::from_code(code), Some(Status::Unknown(code)));
            assert_eq!(Status::Unknown(code).code(), code);
        }
    }
}
