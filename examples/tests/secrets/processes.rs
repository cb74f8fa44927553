//! What everybody on the machine can read of the programs that a process starts.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::search::Search;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks at the arguments and the environment of all that a process starts, directly or not, until it is told to end.
pub(crate) struct Watch {
    ended: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    watching: Option<JoinHandle<()>>,
}

#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// The names of the programs.
    pub(crate) programs: BTreeSet<String>,
    /// The secrets.
    pub(crate) found: BTreeSet<String>,
}

impl Watch {
    pub(crate) fn begin(process: u32, search: Search) -> Self {
        let (ended, seen) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Seen>>::default());
        let own = fs::read_link(format!("/proc/{process}/exe")).ok();
        let watching = thread::spawn({
            let (ended, seen) = (Arc::clone(&ended), Arc::clone(&seen));
            move || {
                while !ended.load(Ordering::SeqCst) {
                    look(process, own.as_deref(), &search, &seen);
                    thread::sleep(LOOK_EVERY);
                }
            }
        });
        Watch { ended, seen, watching: Some(watching) }
    }

    /// Returns what was seen until now.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        self.watching.take().map(JoinHandle::join);
    }
}

fn look(process: u32, own: Option<&Path>, search: &Search, seen: &Mutex<Seen>) {
    let parents = parents();
    let is_below = |mut one: u32| {
        while let Some(parent) = parents.get(&one) {
            if *parent == process {
                return true;
            }
            one = *parent;
        }
        false
    };
    for one in parents.keys().copied().filter(|one| is_below(*one)) {
        let directory = PathBuf::from(format!("/proc/{one}"));
        // Until it is another program, it has the memory of who starts it.
        let Ok(program) = fs::read_link(directory.join("exe")) else { continue };
        if Some(program.as_path()) == own {
            continue;
        }
        let read = |name| fs::read(directory.join(name)).unwrap_or_default();
        let found = search.found_in(&[read("cmdline"), read("environ")].join(&b'\n'));
        let name = program.file_name().unwrap_or_default().display().to_string();
        let mut seen = seen.lock().unwrap();
        seen.found.extend(found.into_iter().map(|what| format!("{what} of {name}")));
        seen.programs.insert(name);
    }
}

/// Returns who started whom.
fn parents() -> HashMap<u32, u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent = |process: u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // Behind the name, which may hold anything: the state, then the parent.
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        Some((process, parent))
    };
    numbers.filter_map(parent).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn arguments_and_environments_are_seen() {
    use std::process::{Command, Stdio};

    use super::search::Secret;
    use super::wait_until;

    let [argument, variable] = ["argument", "variable"].map(Secret::new);
    let search = Search::new(&[argument.clone(), variable.clone()]);
    let watch = Watch::begin(std::process::id(), search);
    // Of a program that was started by another one.
    let mut shell = Command::new("sh");
    shell.args(["-c", "cat - \"$0\"; exit", argument.text()]).env("VARIABLE", variable.text());
    let mut shell = shell.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let seen = |what: &str| watch.seen().found.iter().any(|found| found.starts_with(what) && found.contains("cat"));
    wait_until("both are seen", || seen("argument (plain)") && seen("variable (plain)"));
    drop(shell.stdin.take());
    shell.wait().unwrap();
}
