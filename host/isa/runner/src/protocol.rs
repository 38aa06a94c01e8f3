//! What host and program tell each other. Numbers are little-endian and follow one another without padding; a text is
//! its length (u32) and its bytes; a place is the text of the file, line and column (u32 each).
//!
//! The program begins: [`HELLO`]. Then it does what it is asked, one request after the other, until its input ends.
//! While it runs an op it makes calls of its device table; those that return something wait for it.
//!
//! | from | message | fields | answer |
//! |---|---|---|---|
//! | program | [`HELLO`] | ABI version (u32), address and bytes of the pool (u32), descriptor (text) | |
//! | host | [`RUN`] | op, core, cores, in place, bytes of TCM, outputs, tensors (u32); of each tensor its type and length (u64) | [`DONE`] |
//! | host | [`SHAPE`] | op, outputs, operands (u32); of each operand its type | [`SHAPED`] |
//! | program | [`DONE`] | status, bytes of stack (u32) | |
//! | program | [`SHAPED`] | status; the outputs' types, or code, operand, dim (u32), expected, found (u64), message (text) | |
//! | program | [`TCM_ALLOC`] | bytes (u32), place | address or 0 (u32); if not 0, what these bytes hold |
//! | program | [`TCM_FREE`] | address (u32), place | |
//! | program | [`TCM_LEFT`] | | bytes (u32) |
//! | program | [`LOAD`] | tensor (u32), start, elements (u64), address (u32), place | status, bytes (u32); the bytes |
//! | program | [`STORE`] | as [`LOAD`]; then bytes (u32) and the bytes | status (u32) |
//! | program | [`PRINT_TEXT`] | text | |
//! | program | [`PRINT_FLOAT`], [`PRINT_SIGNED`], [`PRINT_UNSIGNED`] | 64 bits | |
//! | program | [`FAIL`] | code (u32), place, message (text) | |
//!
//! A type is dtype and rank (u32) and 8 dims (u64). Addresses are the program's; the pool of the launch starts at the
//! address of [`HELLO`]. The bytes of a [`STORE`] are as many of the elements as lie in the pool.

/// The first word of a program; raised when anything here changes.
pub const HELLO: u32 = u32::from_le_bytes(*b"gpi\x02");

/// Run an op.
pub const RUN: u32 = 1;
/// Run a shape function.
pub const SHAPE: u32 = 2;

/// An op has ended.
pub const DONE: u32 = 16;
/// A shape function has ended.
pub const SHAPED: u32 = 17;
/// `DeviceTable::tcm_alloc`.
pub const TCM_ALLOC: u32 = 18;
/// `DeviceTable::tcm_free`.
pub const TCM_FREE: u32 = 19;
/// `DeviceTable::tcm_left`.
pub const TCM_LEFT: u32 = 20;
/// `DeviceTable::load`.
pub const LOAD: u32 = 21;
/// `DeviceTable::store`.
pub const STORE: u32 = 22;
/// `DeviceTable::print_text`.
pub const PRINT_TEXT: u32 = 23;
/// `DeviceTable::print_float`.
pub const PRINT_FLOAT: u32 = 24;
/// `DeviceTable::print_signed`.
pub const PRINT_SIGNED: u32 = 25;
/// `DeviceTable::print_unsigned`.
pub const PRINT_UNSIGNED: u32 = 26;
/// `DeviceTable::fail`.
pub const FAIL: u32 = 27;

/// Bytes of the program's pool: all of a core's data RAM, of which a launch says how much there is.
pub const POOL_BYTES: usize = 64 * 1024;

/// Bytes of the stack that ops run on.
pub const STACK_BYTES: usize = 64 * 1024;

/// Tensors of a launch that the program has room for.
pub const MAX_TENSORS: usize = 64;
