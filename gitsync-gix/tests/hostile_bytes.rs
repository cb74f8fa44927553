//! Answers with bytes changed at random: whatever an upstream sends, a call ends with an error of a kind, not by a panic.

#![allow(clippy::unwrap_used)]

use std::io::{Cursor, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gitsync_core::backend::{Durability, InitOptions};
use gitsync_core::model::{ObjectFormat, RefName};
use gitsync_core::source::SourceUrl;
use gitsync_core::testing::Upstream;
use gitsync_core::testing::backend_suite::Subject;
use gitsync_core::transport::{CallLimits, Connection, HttpRequest, HttpResponse, Service, Transport};
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_gix::{GixBackend, GixOptions};

/// Answers by what `git upload-pack` says, changed by a seed.
#[derive(Debug)]
struct Mangling {
    greeting: Vec<u8>,
    pack: Vec<u8>,
    seed: Arc<AtomicU64>,
    greeting_too: bool,
}

struct Random(u64);
impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 as usize) % below.max(1)
    }
}

fn mangle(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..8 {
        random.next(2);
    }
    let mut out = bytes.to_vec();
    for _ in 0..1 + random.next(4) {
        if out.is_empty() {
            break;
        }
        let at = if random.next(2) == 0 { random.next(out.len()) } else { random.next(out.len().min(300)) };
        match random.next(8) {
            0 => out[at] ^= 1 << random.next(8),
            1 => out[at] = random.next(256) as u8,
            2 => out.truncate(at),
            3 => {
                out.remove(at);
            }
            4 => out.insert(at, random.next(256) as u8),
            5 => {
                let end = (at + random.next(64)).min(out.len());
                let part = out[at..end].to_vec();
                out.splice(at..at, part);
            }
            6 => {
                let words: [&[u8]; 10] = [
                    b"0000",
                    b"0001",
                    b"0002",
                    b"0003",
                    b"0004",
                    b"ffff",
                    b"0008NAK\n",
                    b"000eversion 2\n",
                    b"0009\x02abcd",
                    b"\0",
                ];
                let word = words[random.next(words.len())];
                out.splice(at..at, word.iter().copied());
            }
            _ => {
                let end = (at + random.next(64)).min(out.len());
                out.drain(at..end);
            }
        }
    }
    out
}

impl Transport for Mangling {
    fn http(&self, request: HttpRequest<'_>, _: &CallLimits) -> Result<HttpResponse> {
        let seed = self.seed.load(Ordering::Relaxed);
        let is_greeting = request.body.is_none();
        if let Some(body) = request.body {
            body.read_to_end(&mut Vec::new()).unwrap();
        }
        let bytes = match (is_greeting, self.greeting_too) {
            (true, true) => mangle(&self.greeting, seed),
            (true, false) => self.greeting.clone(),
            (false, true) => self.pack.clone(),
            (false, false) => mangle(&self.pack, seed),
        };
        let what = if is_greeting { "advertisement" } else { "result" };
        Ok(HttpResponse {
            content_type: format!("application/x-git-upload-pack-{what}"),
            body: Box::new(Cursor::new(bytes)),
        })
    }
    fn connect(&self, _: &SourceUrl, _: Service, _: u8, _: &CallLimits) -> Result<Connection> {
        Err(Error::new(ErrorKind::Unsupported, "no"))
    }
}

fn upload_pack(dir: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("git")
        .args(["upload-pack", "--stateless-rpc"])
        .args(arguments)
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn mangled_answers_never_panic() {
    let upstream = Upstream::new();
    let tip = upstream.history("main", 30);
    upstream.branch("b", tip);
    let mut greeting = b"001e# service=git-upload-pack\n0000".to_vec();
    greeting.extend(upload_pack(upstream.dir(), &["--http-backend-info-refs"], b""));
    let want = format!("want {tip} multi_ack_detailed no-done side-band-64k thin-pack ofs-delta agent=x\n");
    let input = format!("{:04x}{want}00000009done\n", want.len() + 4);
    let pack = upload_pack(upstream.dir(), &[], input.as_bytes());
    assert!(pack.len() > 1000);
    let seed = Arc::new(AtomicU64::new(0));
    let source: SourceUrl = "http://upstream.example/a.git".parse().unwrap();
    let seeds: u64 = std::env::var("FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    let mut bad = Vec::new();
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for greeting_too in [true, false] {
        let transport =
            Mangling { greeting: greeting.clone(), pack: pack.clone(), seed: Arc::clone(&seed), greeting_too };
        let subject = Subject::new(GixBackend::default(), transport);
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("m.git");
        let head = RefName::new("refs/heads/main").unwrap();
        subject
            .backend
            .init(&dir, &InitOptions { bare: true, format: ObjectFormat::Sha1, head, durability: Durability::Engine })
            .await
            .unwrap();
        for number in 0..seeds {
            seed.store(number, Ordering::Relaxed);
            let context = subject.context_within(Duration::from_secs(10));
            let began = std::time::Instant::now();
            let outcome = async {
                if greeting_too {
                    subject.backend.list_remote(&source, &context).await.map(|_| ())
                } else {
                    let request = gitsync_core::backend::FetchRequest {
                        source: source.clone(),
                        wants: vec![tip],
                        max_pack_bytes: 1 << 30,
                        max_pack_objects: 1 << 20,
                        min_free_bytes: 0,
                        depth: None,
                        durability: Durability::Engine,
                    };
                    subject.backend.fetch(&dir, &request, &context).await.map(|_| ())
                }
            }
            .await;
            let kind = outcome.as_ref().err().map_or("ok".to_owned(), |error| error.kind().to_string());
            *kinds.entry(format!("{} {kind}", if greeting_too { "list" } else { "fetch" })).or_default() += 1;
            if began.elapsed() > Duration::from_secs(3) {
                bad.push(format!("seed {number} greeting {greeting_too}: took {:?}", began.elapsed()));
            }
            if let Err(error) = outcome
                && matches!(error.kind(), ErrorKind::Internal | ErrorKind::Timeout)
            {
                bad.push(format!("seed {number} greeting {greeting_too}: {error}"));
            }
        }
    }
    println!("{kinds:#?}");
    assert!(bad.is_empty(), "{} of {seeds}: {:#?}", bad.len(), &bad[..bad.len().min(20)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_off_is_worth_a_retry() {
    let upstream = Upstream::new();
    let tip = upstream.history("main", 30);
    let mut greeting = b"001e# service=git-upload-pack\n0000".to_vec();
    greeting.extend(upload_pack(upstream.dir(), &["--http-backend-info-refs"], b""));
    let want = format!("want {tip} multi_ack_detailed no-done side-band-64k thin-pack ofs-delta agent=x\n");
    let input = format!("{:04x}{want}00000009done\n", want.len() + 4);
    let pack = upload_pack(upstream.dir(), &[], input.as_bytes());
    let source: SourceUrl = "http://upstream.example/a.git".parse().unwrap();
    let mut kinds = std::collections::BTreeMap::<String, Vec<usize>>::new();
    for (of_greeting, length) in [(true, greeting.len()), (false, pack.len())] {
        for cut in (0..length).step_by(7) {
            let mut transport = Cutting { greeting: greeting.clone(), pack: pack.clone() };
            if of_greeting {
                transport.greeting.truncate(cut);
            } else {
                transport.pack.truncate(cut);
            }
            let subject = Subject::new(GixBackend::default(), transport);
            let root = tempfile::tempdir().unwrap();
            let dir = root.path().join("m.git");
            let head = RefName::new("refs/heads/main").unwrap();
            subject
                .backend
                .init(
                    &dir,
                    &InitOptions { bare: true, format: ObjectFormat::Sha1, head, durability: Durability::Engine },
                )
                .await
                .unwrap();
            let context = subject.context_within(Duration::from_secs(10));
            let request = gitsync_core::backend::FetchRequest {
                source: source.clone(),
                wants: vec![tip],
                max_pack_bytes: 1 << 30,
                max_pack_objects: 1 << 20,
                min_free_bytes: 0,
                depth: None,
                durability: Durability::Engine,
            };
            let outcome = subject.backend.fetch(&dir, &request, &context).await.map(|_| ());
            if let Err(error) = outcome
                && !error.is_retryable()
            {
                kinds
                    .entry(format!("{} of_greeting={of_greeting}: {}", error.kind(), error.message()))
                    .or_default()
                    .push(cut);
            }
        }
    }
    assert!(kinds.is_empty(), "not retried: {kinds:#?}");
}

/// What is said before the pack is kept in memory, so it has a bound of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_before_the_pack_is_ended() {
    let upstream = Upstream::new();
    let tip = upstream.history("main", 3);
    let mut greeting = b"001e# service=git-upload-pack\n0000".to_vec();
    greeting.extend(upload_pack(upstream.dir(), &["--http-backend-info-refs"], b""));
    let line = |text: String| format!("{:04x}{text}", text.len() + 4).into_bytes();
    let floods = [
        line(format!("ACK {tip} common\n")),
        line(format!("shallow {tip}\n")),
        line(format!("unshallow {tip}\n")),
        line("NAK\n".to_owned()),
        // What follows the last acknowledgement, before the first byte of the pack.
        line(format!("\x02{}\r", "counting ".repeat(100))),
        line("\x01".to_owned()),
    ];
    for flood in floods {
        let mut pack = if flood[4] < 3 { line("NAK\n".to_owned()) } else { Vec::new() };
        pack.extend(flood.repeat(300_000 / flood.len()));
        let mut options = GixOptions::default();
        options.max_prelude_bytes = 100_000;
        let backend = GixBackend::new(options);
        let (subject, _root, dir) = mirror_of(backend, Cutting { greeting: greeting.clone(), pack }).await;
        let request = gitsync_core::backend::FetchRequest {
            source: "http://upstream.example/a.git".parse().unwrap(),
            wants: vec![tip],
            max_pack_bytes: 1 << 30,
            max_pack_objects: 1 << 20,
            min_free_bytes: 0,
            depth: None,
            durability: Durability::Engine,
        };
        let error = subject.backend.fetch(&dir, &request, &subject.context()).await.unwrap_err();
        let line = String::from_utf8_lossy(&flood[..flood.len().min(30)]);
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{line:?}: {error}");
    }
}

/// An empty mirror, whose upstream answers by the transport.
async fn mirror_of(backend: GixBackend, transport: Cutting) -> (Subject, tempfile::TempDir, std::path::PathBuf) {
    let subject = Subject::new(backend, transport);
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("m.git");
    let head = RefName::new("refs/heads/main").unwrap();
    let options = InitOptions { bare: true, format: ObjectFormat::Sha1, head, durability: Durability::Engine };
    subject.backend.init(&dir, &options).await.unwrap();
    (subject, root, dir)
}

/// Answers in full or cut off.
#[derive(Debug)]
struct Cutting {
    greeting: Vec<u8>,
    pack: Vec<u8>,
}

impl Transport for Cutting {
    fn http(&self, request: HttpRequest<'_>, _: &CallLimits) -> Result<HttpResponse> {
        let (what, bytes) =
            if request.body.is_none() { ("advertisement", &self.greeting) } else { ("result", &self.pack) };
        Ok(HttpResponse {
            content_type: format!("application/x-git-upload-pack-{what}"),
            body: Box::new(Cursor::new(bytes.clone())),
        })
    }
    fn connect(&self, _: &SourceUrl, _: Service, _: u8, _: &CallLimits) -> Result<Connection> {
        Err(Error::new(ErrorKind::Unsupported, "no"))
    }
}
