//! When a repository is in need of upkeep.

use super::finish::Completion;

/// Tells whether upkeep is to be requested after a task that left so many packs on disk.
///
/// Only what moved something asks for it: each such sync adds a pack, and a repository whose upstream is quiet is left alone,
/// even if its packs cannot be made fewer.
pub fn needs_upkeep(completion: &Completion, packs: usize, max_packs: usize) -> bool {
    completion.changed && packs > max_packs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_packs_than_allowed_are_asked_about_once_something_moved() {
        let after = |changed, packs| needs_upkeep(&Completion { changed, ..Completion::default() }, packs, 16);
        assert!(!after(true, 0) && !after(true, 16) && after(true, 17));
        assert!(!after(false, 17));
    }
}
