//! The index of a pack, of which only one thing is asked: whether the pack has an object.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use gitsync_core::model::{ObjectFormat, ObjectId};
use gitsync_core::{Error, ErrorKind, Result};

/// With this an index begins, unless it is of version 1, which has no beginning.
const VERSION_2: [u8; 8] = *b"\xfftOc\x00\x00\x00\x02";

/// For each first byte of an id, how many ids have that or a lower one, in 4 bytes.
const FAN_OUT_BYTES: usize = 256 * 4;

/// How many entries are read at once: finding one among them is cheaper than another read.
const ENTRIES_AT_ONCE: u64 = 256;

/// The index of a pack. It is read where it is looked at, not as a whole: that of a large pack is large itself.
#[derive(Debug)]
pub(crate) struct PackIndex {
    file: File,
    fan_out: Vec<u64>,
    /// Where the first entry is, how long each is, and where in it the id is.
    start: u64,
    entry_len: usize,
    id_at: usize,
}

impl PackIndex {
    /// Opens an index.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it is none.
    pub(crate) fn open(path: &Path, format: ObjectFormat) -> Result<Self> {
        let file = File::open(path)?;
        let corrupt = || Error::new(ErrorKind::Corrupt, "a pack's index cannot be read").with("path", path.display());
        let mut beginning = [0; VERSION_2.len() + FAN_OUT_BYTES];
        let has_read = file.read_exact_at(&mut beginning, 0);
        has_read.map_err(|error| if is_short(&error) { corrupt() } else { error.into() })?;
        let id_len = format.id_len();
        let (skipped, entry_len, id_at) = match beginning.strip_prefix(&VERSION_2) {
            Some(_) => (VERSION_2.len(), id_len, 0),
            // A byte 255 would count 4 billion objects: it begins a version that nobody knows.
            None if beginning[0] == 0xff => return Err(corrupt()),
            None => (0, 4 + id_len, 4),
        };
        let counts = beginning[skipped..].chunks_exact(4).take(256);
        let fan_out: Vec<u64> =
            counts.map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))).collect();
        let start = (skipped + FAN_OUT_BYTES) as u64;
        let end = fan_out.last().map_or(start, |count| start + count * entry_len as u64);
        if !fan_out.is_sorted() || file.metadata()?.len() < end {
            return Err(corrupt());
        }
        Ok(PackIndex { file, fan_out, start, entry_len, id_at })
    }

    /// Tells whether the pack has the object.
    ///
    /// # Errors
    /// Those of reading the file.
    pub(crate) fn contains(&self, id: &ObjectId) -> Result<bool> {
        let id = id.as_bytes();
        let first = usize::from(id[0]);
        let mut low = first.checked_sub(1).map_or(0, |before| self.fan_out[before]);
        let mut high = self.fan_out[first];
        while high - low > ENTRIES_AT_ONCE {
            let middle = low + (high - low) / 2;
            let found = self.read(middle, 1)?;
            if &found[self.id_at..] <= id { low = middle } else { high = middle }
        }
        let entries = self.read(low, high - low)?;
        Ok(entries.chunks_exact(self.entry_len).any(|entry| &entry[self.id_at..] == id))
    }

    fn read(&self, entry: u64, count: u64) -> Result<Vec<u8>> {
        let mut entries = vec![0; count as usize * self.entry_len];
        self.file.read_exact_at(&mut entries, self.start + entry * self.entry_len as u64)?;
        Ok(entries)
    }
}

fn is_short(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

#[cfg(test)]
mod tests {
    use std::fs;

    use gitsync_core::testing::Upstream;

    use super::*;

    #[test]
    fn indices_of_git_are_read() {
        for (format, version) in [(ObjectFormat::Sha1, 1), (ObjectFormat::Sha1, 2), (ObjectFormat::Sha256, 2)] {
            let upstream = Upstream::with_format(format);
            upstream.history("main", 40);
            let git = upstream.git();
            let listed = git.run(&["rev-list", "--objects", "--no-object-names", "--all"]);
            let name = git.feed(
                &["pack-objects", "--quiet", &format!("--index-version={version}"), "objects/pack/pack"],
                format!("{listed}\n").as_bytes(),
            );
            let name = String::from_utf8(name).expect("git prints a name");
            let path = upstream.dir().join(format!("objects/pack/pack-{}.idx", name.trim_end()));
            let index = PackIndex::open(&path, format).expect("opened");
            let ids: Vec<ObjectId> = listed.lines().map(|line| line.parse().expect("an id")).collect();
            assert_eq!(ids.len(), 120);
            for id in &ids {
                assert!(index.contains(id).expect("read"), "{id}");
                let mut other = id.as_bytes().to_vec();
                *other.last_mut().expect("a byte") ^= 1;
                assert!(!index.contains(&ObjectId::from_bytes(&other).expect("an id")).expect("read"), "{id}");
            }
        }
    }

    #[test]
    fn many_ids_that_begin_alike_are_told_apart() {
        let id = |number: u32| [&[7][..], &number.to_be_bytes(), &[0; 15]].concat();
        let fan_out = |first: u32| if first < 7 { 0 } else { 3_000_u32 }.to_be_bytes();
        let mut content = VERSION_2.to_vec();
        content.extend((0..256).flat_map(fan_out));
        content.extend((0..3_000).flat_map(|number| id(number * 2)));
        let index = written(&content).expect("opened");
        for number in 0..6_000 {
            let id = ObjectId::from_bytes(&id(number)).expect("an id");
            assert_eq!(index.contains(&id).expect("read"), number % 2 == 0, "{number}");
        }
    }

    #[test]
    fn what_is_no_index_is_corrupt() {
        let falling = [&[0, 0, 0, 1][..], &[0; FAN_OUT_BYTES + 4]].concat();
        let too_many = [1; FAN_OUT_BYTES + 8];
        for content in [&b"short"[..], &[0xff; 4_000], &falling, &too_many] {
            assert_eq!(written(content).expect_err("it is none").kind(), ErrorKind::Corrupt);
        }
    }

    fn written(content: &[u8]) -> Result<PackIndex> {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let path = dir.path().join("pack-1.idx");
        fs::write(&path, content).expect("written");
        PackIndex::open(&path, ObjectFormat::Sha1)
    }
}
