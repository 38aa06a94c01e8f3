//! Why a kernel stops.

/// What a kernel returns.
pub type OpResult<T = ()> = Result<T, OpError>;

/// Why a kernel stopped. Where and with which tensor, the host knows: it made the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpError {
    /// The TCM pool cannot reserve `asked` bytes; `left` bytes are free.
    TcmExhausted {
        /// Bytes asked for.
        asked: usize,
        /// Bytes left in the pool.
        left: usize,
    },
    /// The host has refused what the kernel asked for and knows why: a DMA that leaves its tensor, a range that runs
    /// backwards, an operand that cannot be broadcast.
    Reported,
    /// The kernel cannot do what its operands ask; the message says why.
    Refused(&'static str),
}
