//! Answers of `git http-backend`.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use super::wire::{Head, write_chunked};
use crate::testing::git::hermetic;

/// Lets `git http-backend` answer, of the body at most `limit` bytes.
pub(super) fn answer(
    root: &Path,
    head: &Head,
    body: &[u8],
    connection: &mut dyn Write,
    limit: Option<usize>,
) -> io::Result<()> {
    let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
    let header = |name: &str| head.headers.get(name).map_or("", String::as_str);
    let mut command = Command::new("git");
    hermetic(&mut command);
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &head.method)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        // git clients compress long bodies, and http-backend takes them apart.
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else { return Err(io::Error::other("there are no pipes")) };
    let whole = thread::scope(|scope| {
        // It may answer before it has read everything, or not read at all.
        scope.spawn(move || stdin.write_all(body).ok());
        let mut stdout = BufReader::new(stdout);
        let mut status = "200 OK".to_owned();
        let mut headers = String::new();
        loop {
            let mut line = String::new();
            stdout.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                None => break,
                Some(("Status", value)) => value.trim().clone_into(&mut status),
                Some((name, value)) => headers.push_str(&format!("{name}: {}\r\n", value.trim())),
            }
        }
        let head = format!("HTTP/1.1 {status}\r\n{headers}Transfer-Encoding: chunked\r\n\r\n");
        write_chunked(connection, &head, &mut stdout, limit)
    });
    if !matches!(whole, Ok(true)) {
        child.kill().ok();
    }
    child.wait()?;
    whole.map(|_| ())
}
