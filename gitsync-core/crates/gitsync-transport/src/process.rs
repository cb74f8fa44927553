//! Git services that run as programs of this machine.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use gitsync_core::transport::{CallLimits, Connection};
use gitsync_core::{Error, ErrorKind, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::limits::{Meter, SLICE, into_io};

/// How much of what a program complains about is kept.
const MAX_COMPLAINT: u64 = 4096;

/// Says what the failure of a program means, given what it wrote to its standard error.
pub(crate) type Explain = dyn Fn(&str) -> Error + Send + Sync;

/// Starts a program and connects to its standard input and output. It is killed, with everything it started, when the guard
/// is dropped or a limit ends the call.
pub(crate) fn connect(mut command: Command, limits: &CallLimits, explain: Box<Explain>) -> Result<Connection> {
    use std::os::unix::process::CommandExt;

    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Error::new(ErrorKind::Unsupported, "the program that reads the source is not installed")
                .with("program", command.get_program().display())
                .hint("install it, or use an https source")
        }
        _ => Error::from(error),
    })?;
    let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Error::new(ErrorKind::Internal, "a program was started without its pipes"));
    };
    // Writing to a full pipe must not block; the other end of it, the program's, is not affected.
    rustix::io::ioctl_fionbio(&stdin, true).map_err(io::Error::from)?;

    let (sender, complaint) = mpsc::sync_channel(1);
    let process = Arc::new(Process { limits: limits.clone(), explain, state: Mutex::new(State { child, complaint }) });
    let guard = KillOnDrop(Arc::clone(&process));
    thread::Builder::new().name("gitsync-stderr".to_owned()).spawn(move || {
        let mut stderr = stderr;
        let mut text = Vec::new();
        // An incomplete text is better than none; the rest is read so that the program does not block.
        let _ = stderr.by_ref().take(MAX_COMPLAINT).read_to_end(&mut text);
        let _ = io::copy(&mut stderr, &mut io::sink());
        let _ = sender.send(String::from_utf8_lossy(&text).into_owned());
    })?;
    Ok(Connection {
        reader: Box::new(Output { stdout, meter: Meter::new(limits), process: Arc::clone(&process) }),
        writer: Box::new(Input { stdin, process }),
        guard: Box::new(guard),
    })
}

struct Process {
    limits: CallLimits,
    explain: Box<Explain>,
    state: Mutex<State>,
}

struct State {
    child: Child,
    complaint: Receiver<String>,
}

impl Process {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a pipe can be used, or the call has to end.
    fn wait_for(&self, pipe: impl AsFd, flags: PollFlags) -> io::Result<()> {
        let slice = Timespec { tv_sec: 0, tv_nsec: i64::from(SLICE.subsec_nanos()) };
        loop {
            self.check()?;
            match poll(&mut [PollFd::new(&pipe, flags)], Some(&slice)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn check(&self) -> io::Result<()> {
        self.limits.check().map_err(|error| {
            self.kill();
            into_io(error)
        })
    }

    /// Waits for the end of a program that closed a pipe, and says what it means.
    fn end(&self) -> io::Result<()> {
        let mut state = self.state();
        let status = loop {
            if let Some(status) = state.child.try_wait()? {
                break status;
            }
            drop(state);
            self.check()?;
            thread::sleep(Duration::from_millis(5));
            state = self.state();
        };
        if status.success() {
            return Ok(());
        }
        // A second asker gets no text, and a program may have left its standard error to another one.
        let complaint = state.complaint.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
        Err(into_io((self.explain)(&complaint)))
    }

    fn kill(&self) {
        let mut state = self.state();
        // Not reaped yet, so the number still means this program.
        if matches!(state.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&state.child), Signal::KILL);
            let _ = state.child.wait();
        }
    }
}

struct KillOnDrop(Arc<Process>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.kill();
    }
}

struct Output {
    stdout: ChildStdout,
    meter: Meter,
    process: Arc<Process>,
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.process.wait_for(&self.stdout, PollFlags::IN)?;
        let count = self.stdout.read(buffer)?;
        if count == 0 {
            self.process.end()?;
        }
        self.meter.add(count as u64).map_err(|error| {
            self.process.kill();
            into_io(error)
        })?;
        Ok(count)
    }
}

struct Input {
    stdin: ChildStdin,
    process: Arc<Process>,
}

impl Write for Input {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        loop {
            self.process.wait_for(&self.stdin, PollFlags::OUT)?;
            match self.stdin.write(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.process.end()?;
                    return Err(into_io((self.process.explain)("it ended before it was asked anything")));
                }
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
