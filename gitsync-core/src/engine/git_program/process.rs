//! Running a program within limits: it ends, and all that it started with it.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::error::{Error, ErrorKind, Result};
use crate::transport::CallLimits;

/// How much of what a program prints, and as much again of what it complains about, is kept.
const MAX_TEXT_BYTES: u64 = 64 * 1024;

/// How often it is asked whether the program has ended, and whether it has to.
const POLL: Duration = Duration::from_millis(5);

/// How long a program that was told to end may take to remove its temporary files.
const TERM_GRACE: Duration = Duration::from_secs(1);

/// What a program finds at its standard input.
#[derive(Debug)]
pub(crate) enum Input {
    /// Nothing.
    Nothing,
    /// A locked file. The lock lasts as long as the program, whatever becomes of this process.
    Lock(File),
    /// A text to read.
    Text(Vec<u8>),
}

/// How a program ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its exit code, 0 if all went well.
    pub(crate) code: i32,
    /// What it printed, as far as it is kept.
    pub(crate) output: String,
    /// What it complained about, as far as that is kept.
    pub(crate) complaint: String,
}

/// Runs a program, and blocks until it has ended or was killed because the limits say so.
pub(super) fn run(mut command: Command, input: Input, limits: &CallLimits) -> Result<Ended> {
    let (stdin, text) = match input {
        Input::Nothing => (Stdio::null(), None),
        Input::Lock(file) => (file.into(), None),
        Input::Text(text) => (Stdio::piped(), Some(text)),
    };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = Running(command.spawn().map_err(|error| not_started(&command, error))?);
    // It still holds the lock, which is now the program's alone.
    drop(command);
    if let (Some(text), Some(mut stdin)) = (text, child.0.stdin.take()) {
        // A program that ends without reading everything says itself why.
        thread::Builder::new().spawn(move || drop(stdin.write_all(&text)))?;
    }
    let output = child.0.stdout.take().map(collect).transpose()?;
    let complaint = child.0.stderr.take().map(collect).transpose()?;
    let status = child.wait_within(limits)?;
    let ended = Ended { code: status.code().unwrap_or(-1), output: text_of(output), complaint: text_of(complaint) };
    judge(status, &ended).map_or(Ok(ended), Err)
}

/// A program that is killed, with everything it started, unless it has ended.
struct Running(Child);

impl Running {
    fn wait_within(&mut self, limits: &CallLimits) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            if let Err(error) = limits.check() {
                self.stop();
                return Err(error);
            }
            thread::sleep(POLL);
        }
    }

    /// Lets the program remove its temporary files, then kills it.
    fn stop(&mut self) {
        self.signal(Signal::TERM);
        let give_up_at = Instant::now() + TERM_GRACE;
        // It is not reaped before all are killed, so that the number goes on to mean this program.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        while Instant::now() < give_up_at && matches!(waitid(WaitId::Pid(self.id()), options), Ok(None)) {
            thread::sleep(POLL);
        }
        self.kill();
    }

    fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.0.wait();
    }

    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.id(), signal);
    }

    fn id(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Not reaped yet, so the number still means this program.
        if matches!(self.0.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

/// Reads a pipe to its end on a thread of its own, so that the program never waits for us, and keeps the beginning.
fn collect(mut pipe: impl Read + Send + 'static) -> io::Result<Receiver<Vec<u8>>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new().spawn(move || {
        let mut text = Vec::new();
        let _ = pipe.by_ref().take(MAX_TEXT_BYTES).read_to_end(&mut text);
        let _ = io::copy(&mut pipe, &mut io::sink());
        let _ = sender.send(text);
    })?;
    Ok(receiver)
}

/// Returns what was collected, without characters that would do something to a terminal.
fn text_of(collected: Option<Receiver<Vec<u8>>>) -> String {
    let bytes = collected.and_then(|receiver| receiver.recv_timeout(TERM_GRACE).ok()).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

fn not_started(command: &Command, error: io::Error) -> Error {
    if error.kind() != io::ErrorKind::NotFound {
        return Error::from(error);
    }
    Error::new(ErrorKind::Unsupported, "the git program, which upkeep needs, is not installed")
        .with("program", command.get_program().display())
        .hint("install git; everything else goes on without it")
}

/// Returns the error of a program that failed for want of something, or was killed.
fn judge(status: ExitStatus, ended: &Ended) -> Option<Error> {
    const WANTS: [(&str, ErrorKind); 8] = [
        ("No space left on device", ErrorKind::DiskFull),
        ("Disk quota exceeded", ErrorKind::DiskFull),
        ("Permission denied", ErrorKind::PermissionDenied),
        ("Read-only file system", ErrorKind::PermissionDenied),
        ("ut of memory", ErrorKind::Internal),
        ("Cannot allocate memory", ErrorKind::Internal),
        ("Too many open files", ErrorKind::Internal),
        ("unable to create thread", ErrorKind::Internal),
    ];
    if status.success() {
        return None;
    }
    if let Some(signal) = status.signal() {
        return Some(Error::new(ErrorKind::Internal, "the git program was killed").with("signal", signal));
    }
    let (_, kind) = WANTS.into_iter().find(|(sign, _)| ended.complaint.contains(sign))?;
    Some(Error::new(kind, "the git program failed").with("reason", ended.complaint.trim()))
}
