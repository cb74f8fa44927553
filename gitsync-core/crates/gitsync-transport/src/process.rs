//! Git services that run as programs of this machine.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use gitsync_core::transport::Connection;
use gitsync_core::{Error, ErrorKind, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::complaint;
use crate::limits::{Guard, Meter, SLICE, check_idle, into_io};

/// How long a program may be silent of which nobody knows how long it needs.
pub(crate) const NO_IDLE_LIMIT: Duration = Duration::MAX;

/// Says what the failure of a program means, given what it wrote to its standard error.
pub(crate) type Explain = dyn Fn(&str) -> Error + Send + Sync;

/// Returns a command for a program that sees nothing of our environment but where programs are.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    // Complaints are understood in English.
    command.env("LC_ALL", "C");
    command
}

/// Starts a program and connects to its standard input and output. It is killed, with everything it started, when the guard
/// is dropped or a limit ends the call.
pub(crate) fn connect(mut command: Command, limits: Guard, explain: Box<Explain>) -> Result<Connection> {
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
    let (sender, complained) = mpsc::sync_channel(1);
    let meter = Meter::new(&limits.limits);
    let process = Arc::new(Process { guard: limits, explain, state: Mutex::new(State { child, complained }) });
    // From here on the program ends also if something fails.
    let guard = KillOnDrop(Arc::clone(&process));
    // Writing to a full pipe must not block; the other end of it, the program's, is not affected.
    rustix::io::ioctl_fionbio(&stdin, true).map_err(io::Error::from)?;
    thread::Builder::new().name("gitsync-stderr".to_owned()).spawn(move || {
        let mut stderr = stderr;
        // Nobody asks if all went well.
        let _ = sender.send(complaint::read(&mut stderr));
    })?;
    Ok(Connection {
        reader: Box::new(Output { stdout, meter, process: Arc::clone(&process) }),
        writer: Box::new(Input { stdin, process }),
        guard: Box::new(guard),
    })
}

struct Process {
    guard: Guard,
    explain: Box<Explain>,
    state: Mutex<State>,
}

struct State {
    child: Child,
    complained: Receiver<String>,
}

impl Process {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a pipe can be used, or the call has to end.
    fn wait_for(&self, pipe: impl AsFd, flags: PollFlags) -> io::Result<()> {
        let started = Instant::now();
        let slice = Timespec { tv_sec: 0, tv_nsec: i64::from(SLICE.subsec_nanos()) };
        loop {
            self.check(started)?;
            match poll(&mut [PollFd::new(&pipe, flags)], Some(&slice)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn check(&self, silent_since: Instant) -> io::Result<()> {
        let checked = self.guard.limits.check().and_then(|()| check_idle(silent_since, self.guard.idle));
        checked.map_err(|error| {
            self.kill();
            into_io(error)
        })
    }

    /// Waits for the end of a program that closed a pipe, and says what it means.
    fn end(&self) -> io::Result<()> {
        let started = Instant::now();
        let mut state = self.state();
        let status = loop {
            if let Some(status) = state.child.try_wait()? {
                break status;
            }
            drop(state);
            self.check(started)?;
            thread::sleep(Duration::from_millis(5));
            state = self.state();
        };
        if status.success() {
            return Ok(());
        }
        // A second asker gets no text, and a program may have left its standard error to another one.
        let complaint = state.complained.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
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
