//! [`Process`]: a program on one emulated core, and reading and writing its output and input.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use gpsimd_abi::{ABI_VERSION, MAX_RANK, RawTensorType};
use gpsimd_emulator::is_stopping;
use gpsimd_isa_runner::protocol::HELLO;

use crate::error::IsaError;
use crate::toolchain::QEMU;

/// The longest text that a program may send: more is a program that lost its way.
const MAX_TEXT: u32 = 1024 * 1024;

/// Polling interval while a program computes: how late a launch ends that is to end.
const POLL_MILLISECONDS: i32 = 50;

/// A program under QEMU.
pub(crate) struct Process {
    child: Child,
    /// None when it has been told that there is no more.
    input: Option<BufWriter<ChildStdin>>,
    output: BufReader<ChildStdout>,
    /// Where the pool starts in the program's memory.
    pub(crate) pool_address: u32,
    /// Bytes of the pool.
    pub(crate) pool_bytes: u32,
}

/// What a program says of itself.
pub(crate) struct Hello {
    pub(crate) descriptor: Vec<u8>,
}

impl Process {
    /// Starts the program in `elf`, under a plugin of QEMU's if there is one.
    pub(crate) fn start(elf: &Path, plugin: Option<&str>) -> Result<(Self, Hello), IsaError> {
        let mut command = Command::new(QEMU);
        // Not what the environment says that QEMU should do.
        for variable in ["QEMU_CPU", "QEMU_PLUGIN", "QEMU_STRACE", "QEMU_LOG", "QEMU_SINGLESTEP"] {
            command.env_remove(variable);
        }
        if let Some(plugin) = plugin {
            command.args(["-plugin", plugin]);
        }
        command.args(["-cpu", "lx106"]).arg(elf);
        let start = |source| IsaError::Start { command: format!("{QEMU} {}", elf.display()), source };
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(start)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both are piped");
        };
        let (input, output) = (Some(BufWriter::new(input)), BufReader::new(output));
        let mut process = Self { child, input, output, pool_address: 0, pool_bytes: 0 };
        match process.hello() {
            Ok(hello) => Ok((process, hello)),
            Err(error) => {
                let problem = format!("{error}; {}", process.end());
                Err(IsaError::NotOurs { path: elf.into(), problem })
            }
        }
    }

    fn hello(&mut self) -> io::Result<Hello> {
        for (what, expected) in [("first word", HELLO), ("ABI version", ABI_VERSION)] {
            let found = self.u32()?;
            if found != expected {
                return Err(lost(&format!("the {what} of a program is {expected:#x}, found {found:#x}")));
            }
        }
        self.pool_address = self.u32()?;
        self.pool_bytes = self.u32()?;
        Ok(Hello { descriptor: self.text()? })
    }

    /// Ends the program wherever it is.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
    }

    /// Ends the program, and says how it ended and what QEMU said.
    pub(crate) fn end(mut self) -> String {
        let said = self.finish();
        let said = said.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("; ");
        match self.child.wait() {
            Ok(status) if said.is_empty() => format!("{QEMU} ended: {status}"),
            Ok(status) => format!("{QEMU} ended: {status}: {said}"),
            Err(error) => format!("{QEMU} cannot be waited for: {error}"),
        }
    }

    /// Lets the program end by itself, and returns what QEMU and its plugin wrote to standard error.
    pub(crate) fn finish(&mut self) -> String {
        // The end of its input is the program's end.
        self.input = None;
        let mut said = Vec::new();
        if let Some(mut errors) = self.child.stderr.take() {
            let _ = errors.read_to_end(&mut said);
        }
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Sends what was written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.input()?.flush()
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.input()?.write_all(bytes)
    }

    fn input(&mut self) -> io::Result<&mut BufWriter<ChildStdin>> {
        self.input.as_mut().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    pub(crate) fn put_u32(&mut self, value: u32) -> io::Result<()> {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn put_u64(&mut self, value: u64) -> io::Result<()> {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn put_type(&mut self, ty: &RawTensorType) -> io::Result<()> {
        self.put_u32(ty.dtype)?;
        self.put_u32(ty.rank)?;
        ty.dims.iter().try_for_each(|dim| self.put_u64(*dim))
    }

    pub(crate) fn get(&mut self, to: &mut [u8]) -> io::Result<()> {
        let mut read = 0;
        while read < to.len() {
            if self.output.buffer().is_empty() {
                self.wait()?;
            }
            match self.output.read(&mut to[read..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                bytes => read += bytes,
            }
        }
        Ok(())
    }

    /// Waits until the program says something, or the launch that it is part of is to end: it may never say anything.
    fn wait(&self) -> io::Result<()> {
        let mut output = libc::pollfd { fd: self.output.get_ref().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        loop {
            // SAFETY: one descriptor, which is open.
            match unsafe { libc::poll(&raw mut output, 1, POLL_MILLISECONDS) } {
                -1 if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted => {
                    return Err(io::Error::last_os_error());
                }
                0 | -1 if is_stopping() => return Err(io::ErrorKind::TimedOut.into()),
                0 | -1 => {}
                _ => return Ok(()),
            }
        }
    }

    pub(crate) fn u32(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.get(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    pub(crate) fn u64(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.get(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(crate) fn ty(&mut self) -> io::Result<RawTensorType> {
        let (dtype, rank) = (self.u32()?, self.u32()?);
        let mut dims = [0; MAX_RANK];
        for dim in &mut dims {
            *dim = self.u64()?;
        }
        Ok(RawTensorType { dtype, rank, dims })
    }

    pub(crate) fn text(&mut self) -> io::Result<Vec<u8>> {
        let len = self.u32()?;
        if len > MAX_TEXT {
            return Err(lost(&format!("a text of {len} bytes")));
        }
        let mut text = vec![0; len as usize];
        self.get(&mut text)?;
        Ok(text)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Idle programs have nothing to lose. Both fail when it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program says what no program says.
pub(crate) fn lost(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
