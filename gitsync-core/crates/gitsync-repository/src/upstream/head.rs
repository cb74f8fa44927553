//! Where a `HEAD` points that leads to nothing: only version 2 of git's protocol tells.

use std::io::{BufReader, Cursor, Read, Write};

use gitsync_core::backend::Head;
use gitsync_core::model::{ObjectFormat, RefName};
use gitsync_core::transport::{Connection, Service};
use gitsync_core::{ErrorKind, Result};

use super::call::Call;
use super::guarded::Guarded;
use super::http::exchange;
use super::packets::{packet, read_packet};

/// How many lines are read: there is one `HEAD`.
const MAX_LINES: usize = 64;

/// Asks an upstream where `HEAD` points. One that cannot tell has not failed.
///
/// # Errors
/// Only those of the limits.
pub fn unborn_head(call: &Call, format: ObjectFormat) -> Result<Option<Head>> {
    let call = call.aside();
    match ask(&call, format) {
        Ok(head) => Ok(head),
        Err(error) => {
            let error = call.failure.take().unwrap_or(error);
            if matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Timeout) { Err(error) } else { Ok(None) }
        }
    }
}

fn ask(call: &Call, format: ObjectFormat) -> Result<Option<Head>> {
    let question = question(format);
    if call.source.scheme().is_http() {
        let headers = [
            ("content-type", "application/x-git-upload-pack-request"),
            ("accept", "application/x-git-upload-pack-result"),
            ("git-protocol", "version=2"),
        ];
        let mut body = Cursor::new(question);
        let answer = exchange(call, "/git-upload-pack", &headers, Some(&mut body))?;
        return listen(&mut BufReader::new(Guarded::new(answer.body, call)));
    }
    let Connection { reader, mut writer, guard } =
        call.transport.connect(&call.source, Service::UploadPack, 2, &call.limits)?;
    let mut reader = Guarded::new(BufReader::new(reader), call);
    let mut line = Vec::new();
    if !read_packet(&mut reader, &mut line)? || line != b"version 2" {
        return Ok(None);
    }
    for _ in 0..MAX_LINES {
        if !read_packet(&mut reader, &mut line)? {
            break;
        }
    }
    writer.write_all(&question)?;
    writer.flush()?;
    let head = listen(&mut reader);
    // Nothing more is asked.
    let _ = writer.write_all(b"0000").and_then(|()| writer.flush());
    drop((writer, reader, guard));
    head
}

fn question(format: ObjectFormat) -> Vec<u8> {
    let format = format!("object-format={}", format.as_str());
    let mut text = packet(b"command=ls-refs");
    text.extend_from_slice(&packet(format.as_bytes()));
    text.extend_from_slice(b"0001");
    for argument in [&b"symrefs"[..], b"unborn", b"ref-prefix HEAD"] {
        text.extend_from_slice(&packet(argument));
    }
    text.extend_from_slice(b"0000");
    text
}

/// Understands `unborn HEAD symref-target:<name>`, or an id in the place of the first word.
fn listen(reader: &mut impl Read) -> Result<Option<Head>> {
    let mut line = Vec::new();
    for _ in 0..MAX_LINES {
        if !read_packet(reader, &mut line)? {
            break;
        }
        let mut words = line.split(|byte| *byte == b' ').skip(1);
        if words.next() != Some(b"HEAD") {
            continue;
        }
        let target = words.find_map(|word| word.strip_prefix(b"symref-target:"));
        return Ok(target.and_then(|target| RefName::new(target).ok()).map(Head::Branch));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_head_is_understood_and_nothing_else() {
        let said = |lines: &[&str]| {
            let text: Vec<u8> = lines.iter().flat_map(|line| packet(line.as_bytes())).chain(*b"0000").collect();
            listen(&mut &*text).unwrap()
        };
        let main = Some(Head::Branch(RefName::new("refs/heads/main").unwrap()));
        assert_eq!(said(&["unborn HEAD symref-target:refs/heads/main"]), main);
        assert_eq!(said(&[&format!("{} HEAD symref-target:refs/heads/main", "1".repeat(40))]), main);
        assert_eq!(said(&["unborn HEAD"]), None);
        assert_eq!(said(&["unborn HEAD symref-target:../x"]), None);
        assert_eq!(said(&["unborn HEADER symref-target:refs/heads/main"]), None);
        assert_eq!(said(&[]), None);
    }
}
