//! The listing of the original protocol, which comes with the greeting.
//!
//! Read here and not by an engine: gix's parser panics over a `symref` that is not listed, takes blanks off names and knows no
//! bounds, and git2 panics over a name that is not UTF-8.

use gitsync_core::Result;
use gitsync_core::model::ObjectFormat;
use gitsync_core::{Error, ErrorKind};

use super::listing::{ListLimits, Listing, not_understood};

/// What an upstream can do: a name, and perhaps a value.
pub type Capability<'a> = (&'a [u8], Option<&'a [u8]>);

/// Begins a listing with what the capabilities say.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if the hash function is one that the core does not know.
pub fn begin<'a>(capabilities: impl IntoIterator<Item = Capability<'a>>, limits: ListLimits) -> Result<Listing> {
    let capabilities: Vec<_> = capabilities.into_iter().collect();
    let mut listing = Listing::new(format_of(capabilities.iter().copied())?, limits);
    for (_, value) in capabilities.iter().filter(|(name, _)| *name == b"symref") {
        if let Some(target) = value.and_then(|value| value.strip_prefix(b"HEAD:")) {
            listing.set_head_target(target);
        }
    }
    Ok(listing)
}

/// Adds a line.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if it makes no sense, [`ErrorKind::LimitExceeded`] past the bounds.
pub fn line(listing: &mut Listing, line: &[u8]) -> Result<()> {
    listing.count(line)?;
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let at = line.iter().position(|byte| *byte == b' ');
    let (hex, name) =
        at.map(|at| (&line[..at], &line[at + 1..])).ok_or_else(|| not_understood("a line without a name"))?;
    if hex == b"shallow" {
        listing.set_shallow();
        return Ok(());
    }
    let id = listing.id(hex)?;
    if let Some(tag) = name.strip_suffix(b"^{}") {
        // What an empty upstream lists is named `capabilities^{}`, and is none of our references.
        listing.add_peeled(tag, id);
    } else if id.is_null() {
        return Err(not_understood("a reference to nothing"));
    } else {
        listing.add(name, id, None);
    }
    Ok(())
}

/// Returns the upstream's hash function.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if it is one that the core does not know.
pub fn format_of<'a>(capabilities: impl IntoIterator<Item = Capability<'a>>) -> Result<ObjectFormat> {
    // Only a server that knows another format than the first one says anything.
    let said = capabilities.into_iter().find(|(name, _)| *name == b"object-format");
    match said.map(|(_, value)| value) {
        None | Some(Some(b"sha1")) => Ok(ObjectFormat::Sha1),
        Some(Some(b"sha256")) => Ok(ObjectFormat::Sha256),
        _ => Err(Error::new(ErrorKind::Unsupported, "the upstream's object format is not supported")),
    }
}

/// Takes capabilities apart that stand in one line.
pub fn capabilities(line: &[u8]) -> impl Iterator<Item = Capability<'_>> + Clone {
    let words = line.split(|byte| matches!(byte, b' ' | b'\n')).filter(|word| !word.is_empty());
    words.map(|word| match word.iter().position(|byte| *byte == b'=') {
        Some(at) => (&word[..at], Some(&word[at + 1..])),
        None => (word, None),
    })
}

#[cfg(test)]
mod tests {
    use gitsync_core::backend::Head;
    use gitsync_core::model::RefName;

    use super::*;

    const ID: &str = "1111111111111111111111111111111111111111";
    const LIMITS: ListLimits = ListLimits { refs: 4, bytes: 1000 };

    fn listed(said: &str, lines: &[&str]) -> Result<gitsync_core::backend::Advertisement> {
        let mut listing = begin(capabilities(said.as_bytes()), LIMITS)?;
        lines.iter().try_for_each(|text| line(&mut listing, format!("{text}\n").as_bytes()))?;
        Ok(listing.finish())
    }

    fn at(name: &str) -> String {
        format!("{ID} {name}")
    }

    #[test]
    fn a_listing_is_sorted_and_bad_names_are_counted() {
        let lines = [at("HEAD"), at("refs/tags/v1"), at("refs/tags/v1^{}"), at("refs/heads/a..b")];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let listed = listed("symref=HEAD:refs/heads/a agent=x", &lines).unwrap();
        assert_eq!((listed.refs.len(), listed.refused_names), (1, 1));
        assert!(listed.refs[0].peeled.is_some());
        assert_eq!(listed.head, Some(Head::Branch(RefName::new("refs/heads/a").unwrap())));
    }

    #[test]
    fn hostile_listings_are_errors_or_say_nothing() {
        // A symbolic reference that is not listed, one with a bad target, and a tag without its reference.
        let said = listed("symref=HEAD:refs/heads/none symref=X:Y", &[&at("refs/heads/a^{}")]).unwrap();
        assert_eq!((said.refs.len(), said.head.is_some()), (0, true));
        assert_eq!(listed("symref=HEAD:../../etc", &[&at("HEAD")]).unwrap().head, None);
        assert!(matches!(listed("agent=x", &[&at("HEAD")]).unwrap().head, Some(Head::Detached(_))));
        for (lines, kind) in [
            (vec!["x".to_owned()], ErrorKind::Corrupt),
            (vec![format!("{ID}22 refs/heads/a")], ErrorKind::Corrupt),
            (vec![format!("{} refs/heads/a", "0".repeat(40))], ErrorKind::Corrupt),
            (vec![format!("{} refs/heads/a", "1".repeat(64))], ErrorKind::Corrupt),
            (vec![at("refs/heads/a"); 5], ErrorKind::LimitExceeded),
            (vec![at(&"a".repeat(1000))], ErrorKind::LimitExceeded),
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_eq!(listed("agent=x", &lines).unwrap_err().kind(), kind, "{lines:?}");
        }
        let twice = listed("agent=x", &[&at("refs/heads/a"), &at("refs/heads/a")]).unwrap();
        assert_eq!(twice.refs.len(), 1);
        assert_eq!(listed("object-format=md5", &[]).unwrap_err().kind(), ErrorKind::Unsupported);
        let empty = listed("object-format=sha256", &[&format!("{} capabilities^{{}}", "0".repeat(64))]).unwrap();
        assert_eq!((empty.refs.len(), empty.format), (0, ObjectFormat::Sha256));
    }
}
