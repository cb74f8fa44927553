//! Looking for secrets in whatever form they may have got somewhere.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// How large files are in which a secret may also be in lines, as keys are.
const MAX_WRAPPED: usize = 64 * 1024;

/// Something that must not be told.
#[derive(Clone)]
pub(crate) struct Secret {
    name: String,
    bytes: Vec<u8>,
}

impl Secret {
    /// Makes one that is nowhere else, with characters that are written in another way in URLs.
    pub(crate) fn new(name: &str) -> Self {
        Secret::of(name, format!("s/{}+&=~", uuid::Uuid::new_v4().simple()).as_bytes())
    }

    /// One that could also be the name of a host.
    pub(crate) fn plain(name: &str) -> Self {
        Secret::of(name, uuid::Uuid::new_v4().simple().to_string().as_bytes())
    }

    /// One that was made elsewhere.
    pub(crate) fn of(name: &str, bytes: &[u8]) -> Self {
        Secret { name: name.to_owned(), bytes: bytes.to_vec() }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    /// Returns the forms in which it could be found: as it is, in base64 whatever stands before it, in hex, in a URL, and as
    /// bytes are printed for debugging.
    pub(crate) fn forms(&self) -> Vec<(String, Vec<u8>)> {
        let mut forms = vec![("plain".to_owned(), self.bytes.clone())];
        let mut add = |name: &str, text: String| forms.push((name.to_owned(), text.into_bytes()));
        let each = |write: fn(&u8) -> String| self.bytes.iter().map(write).collect::<Vec<_>>();
        add("hex", each(|byte| format!("{byte:02x}")).concat());
        add("HEX", each(|byte| format!("{byte:02X}")).concat());
        add("numbers", each(u8::to_string).join(", "));
        let encoded = |lower: bool| {
            let write = |byte: &u8| match byte {
                byte if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) => char::from(*byte).to_string(),
                byte if lower => format!("%{byte:02x}"),
                byte => format!("%{byte:02X}"),
            };
            self.bytes.iter().map(write).collect::<String>()
        };
        add("url", encoded(false));
        add("url in lower case", encoded(true));
        for (name, engine) in [("base64", &STANDARD), ("base64 for URLs", &URL_SAFE)] {
            for before in 0..3 {
                let text = engine.encode([&vec![0; before], self.bytes.as_slice()].concat());
                // Without what depends on what stands before and after.
                let (start, end) = ((before * 8).div_ceil(6), (before + self.bytes.len()) * 8 / 6);
                add(&format!("{name} after {before}"), text[start..end].to_owned());
            }
        }
        forms
    }

    /// Returns all that a hostile server could make of it, and of a login that it is part of.
    pub(crate) fn echo(&self, login: &str) -> String {
        let forms = self.forms().into_iter().filter_map(|(_, bytes)| String::from_utf8(bytes).ok());
        format!("Basic {} or {login} or {}", STANDARD.encode(login), forms.collect::<Vec<_>>().join(" "))
    }
}

/// Finds secrets.
pub(crate) struct Search {
    /// By their first four bytes.
    needles: HashMap<[u8; 4], Vec<(String, Vec<u8>)>>,
    /// Whether any begins with two bytes.
    begins: Vec<bool>,
}

impl Search {
    pub(crate) fn new(secrets: &[Secret]) -> Self {
        let mut search = Search { needles: HashMap::new(), begins: vec![false; 1 << 16] };
        for secret in secrets {
            for (form, bytes) in secret.forms() {
                let start: [u8; 4] = bytes[..4].try_into().unwrap();
                search.begins[usize::from(u16::from_be_bytes([start[0], start[1]]))] = true;
                search.needles.entry(start).or_default().push((format!("{} ({form})", secret.name), bytes));
            }
        }
        search
    }

    /// Returns what is there.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for at in 0..bytes.len().saturating_sub(3) {
            if !self.begins[usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1])] {
                continue;
            }
            let rest = &bytes[at..];
            let needles = self.needles.get(&rest[..4]).into_iter().flatten();
            found.extend(needles.filter(|(_, needle)| rest.starts_with(needle)).map(|(name, _)| name.clone()));
        }
        found
    }

    /// Returns what is in the files below a directory, in their names and in links; each with where.
    pub(crate) fn found_below(&self, directory: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let content = if path.is_symlink() {
                fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
            } else if path.is_dir() {
                found.extend(self.found_below(&path));
                Vec::new()
            } else {
                fs::read(&path).unwrap()
            };
            let mut all = [path.file_name().unwrap().as_bytes(), b"\n", &content].concat();
            if content.len() <= MAX_WRAPPED {
                all.extend(content.iter().filter(|byte| !byte.is_ascii_whitespace()));
            }
            found.extend(self.found_in(&all).iter().map(|what| format!("{what} in {}", path.display())));
        }
        found
    }
}

/// A search that finds nothing whatever it is given would say that all is well.
#[test]
fn each_form_is_found_wherever_it_is() {
    let (one, other) = (Secret::new("one"), Secret::plain("other"));
    let search = Search::new(&[one.clone(), other]);
    let dir = tempfile::tempdir().unwrap();
    assert_eq!((search.found_in(b"nothing"), search.found_below(dir.path())), Default::default());
    fs::create_dir(dir.path().join("deep")).unwrap();
    for (form, bytes) in one.forms() {
        let expected = format!("one ({form})");
        for planted in [bytes.clone(), [b"\0\xff", bytes.as_slice(), b"x"].concat()] {
            assert!(search.found_in(&planted).contains(&expected), "{form}");
            fs::write(dir.path().join("deep/file"), planted).unwrap();
            assert!(search.found_below(dir.path()).iter().any(|found| found.starts_with(&expected)), "{form}");
        }
        assert!(!search.found_in(&bytes[1..]).contains(&expected), "{form}");
    }
    for before in ["", "a", "ab", "abc", "mirror:"] {
        let header = STANDARD.encode(format!("{before}{}", one.text()));
        assert!(search.found_in(header.as_bytes()).iter().any(|found| found.contains("base64 after")), "{before}");
    }
    fs::remove_dir_all(dir.path().join("deep")).unwrap();
    std::os::unix::fs::symlink(one.text(), dir.path().join("link")).unwrap();
    assert_eq!(search.found_below(dir.path()).len(), 1, "where a link leads");
    fs::remove_file(dir.path().join("link")).unwrap();
    let (start, end) = one.text().split_at(20);
    fs::write(dir.path().join("lines"), format!("{start}\r\n  {end}")).unwrap();
    assert_eq!(search.found_below(dir.path()).len(), 1, "what is in lines");
    fs::remove_file(dir.path().join("lines")).unwrap();
    let (_, name) = one.forms().into_iter().find(|(form, _)| form == "url").unwrap();
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(&name)), "").unwrap();
    assert_eq!(search.found_below(dir.path()).len(), 1, "what a file is called");
}
