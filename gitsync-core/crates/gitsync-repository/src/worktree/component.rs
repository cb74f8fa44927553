//! What a name in a tree may be, so that no commit can write outside of the working tree or into the repository.

/// Says what is wrong with one component of a path, if anything is: what git would not check out on any of its systems.
pub(super) fn defect(name: &[u8]) -> Option<&'static str> {
    if name.is_empty() || name == b"." || name == b".." {
        return Some("it leads elsewhere");
    }
    if name.contains(&b'/') {
        return Some("a name holds a slash");
    }
    (is_git_dir_on_hfs(name) || is_git_dir_on_ntfs(name)).then_some("it is the repository's own directory")
}

/// HFS+ and APFS fold case and ignore some characters.
fn is_git_dir_on_hfs(name: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(name) else { return false };
    let ignored = |c: &char| matches!(*c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    text.chars().filter(|c| !ignored(c)).map(|c| c.to_ascii_lowercase()).eq(".git".chars())
}

/// NTFS folds case, has a short name for each long one, separates with backslashes, and ignores dots, spaces and what
/// follows a colon at the end.
fn is_git_dir_on_ntfs(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'\\').any(|name| {
        let end = name.iter().position(|byte| *byte == b':').unwrap_or(name.len());
        let name = &name[..end];
        let kept = name.iter().rposition(|byte| !matches!(byte, b'.' | b' ')).map_or(0, |last| last + 1);
        [&b".git"[..], b"git~1"].iter().any(|own| name[..kept].eq_ignore_ascii_case(own))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_or_to_the_repository_are_refused() {
        let bad: [&[u8]; 15] = [
            b"",
            b".",
            b"..",
            b"a/b",
            b".git",
            b".GIT",
            b".Git ",
            b".git...",
            b".git . .",
            b".git::$INDEX_ALLOCATION",
            b"git~1",
            b"GIT~1",
            b"a\\.git",
            ".g\u{200c}it".as_bytes(),
            ".gi\u{feff}T".as_bytes(),
        ];
        for name in bad {
            assert!(defect(name).is_some(), "{}", name.escape_ascii());
        }
        let good: [&[u8]; 9] =
            [b"a", b".gitignore", b".github", b"...", b"git~2", b"x.git", b"\xff", b"a\\b", ".gi\u{e9}t".as_bytes()];
        for name in good {
            assert_eq!(defect(name), None, "{}", name.escape_ascii());
        }
    }
}
