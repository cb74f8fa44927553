//! What is in commits.

use super::{Situation, commits, raw_commit};
use crate::testing::upstream::Upstream;

const PERSON: &[u8] = b"A <a@b> 1700000000 +0000";

fn by(who: &[u8]) -> [Vec<u8>; 2] {
    [[b"author ", who].concat(), [b"committer ", who].concat()]
}

/// A commit by somebody.
fn person(upstream: &Upstream, who: &[u8]) {
    let [author, committer] = by(who);
    raw_commit(upstream, "main", &[&author, &committer], b"message\n");
}

/// A commit with a further header.
fn header(upstream: &Upstream, header: &[u8], message: &[u8]) {
    let [author, committer] = by(PERSON);
    raw_commit(upstream, "main", &[&author, &committer, header], message);
}

fn message(upstream: &Upstream, text: &[u8]) {
    let [author, committer] = by(PERSON);
    raw_commit(upstream, "main", &[&author, &committer], text);
}

fn dates(upstream: &Upstream, dates: &[&str]) {
    for date in dates {
        person(upstream, format!("A <a@b> {date}").as_bytes());
    }
}

pub(super) const SITUATIONS: &[Situation] = &[
    Situation::new(
        "encodings that are named",
        |it| {
            header(it, b"encoding ISO-8859-1", b"caf\xe9\n");
            header(it, b"encoding EUC-JP", b"\xc6\xfc\xcb\xdc\xb8\xec\n");
            header(it, b"encoding windows-1251", b"\xcf\xf0\xe8\xe2\xe5\xf2\n");
        },
        commits,
    ),
    Situation::new("an encoding that there is not", |it| header(it, b"encoding x-klingon", b"q\xe9apla\n"), commits),
    Situation::new("messages that are not UTF-8", |it| message(it, b"\xff\xfe\x80 text\n"), commits),
    Situation::new("NUL in a message", |it| message(it, b"before\0after\n"), commits),
    Situation::new(
        "no message, and one without a line end",
        |it| {
            message(it, b"");
            message(it, b"x");
        },
        commits,
    ),
    Situation::new("a message of 200 KB", |it| message(it, "long line\n".repeat(20_000).as_bytes()), commits),
    Situation::new("lines that end as in Windows", |it| message(it, b"a\r\nb\r\n"), commits),
    Situation::new(
        "empty names and e-mails",
        |it| {
            person(it, b" <> 1700000000 +0000");
            person(it, b"A <> 1700000000 +0000");
            person(it, b"<a@b> 1700000000 +0000");
        },
        commits,
    ),
    Situation::new(
        "an e-mail of 10 KB",
        |it| person(it, format!("A <{}@b> 1700000000 +0000", "e".repeat(10_000)).as_bytes()),
        commits,
    ),
    Situation::new("names that are not UTF-8", |it| person(it, b"J\xf6rg <j\xf6rg@b> 1700000000 +0000"), commits),
    Situation::new("brackets in brackets", |it| person(it, b"A <B> <<a@b>> 1700000000 +0000"), commits),
    Situation::new(
        "signatures",
        |it| header(it, b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n xxx\n -----END PGP SIGNATURE-----", b"signed\n"),
        commits,
    ),
    Situation::new(
        "a merged tag",
        |it| {
            header(it, b"mergetag object 1111111111111111111111111111111111111111\n type commit\n tag v1\n tagger A <a@b> 1 +0000\n \n text", b"merge\n");
        },
        commits,
    ),
    Situation::new("headers that nobody knows", |it| header(it, b"x-thing a b c\n d", b"x\n"), commits),
    Situation::new(
        "dates 0, 2105 and 9999",
        |it| dates(it, &["0 +0000", "4291747200 +0000", "253402300799 +0000"]),
        commits,
    ),
    Situation::new("dates before 1970", |it| dates(it, &["-1 +0000", "-2000000000 +0000"]), commits),
    Situation::new(
        "dates that no number holds",
        |it| dates(it, &["99999999999999999999999 +0000", "9223372036854775807 +0000"]),
        commits,
    ),
    Situation::new(
        "absurd zones",
        |it| dates(it, &["1700000000 +9999", "1700000000 -9999", "1700000000 +1", "1700000000 UTC", "1700000000"]),
        commits,
    ),
    Situation::new(
        "no author, no date",
        |it| {
            raw_commit(it, "main", &[&by(PERSON)[1]], b"no author\n");
            person(it, b"A <a@b>");
            person(it, b"nonsense");
        },
        commits,
    ),
];
