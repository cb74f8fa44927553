//! Whether the macros of the suites list every case.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A case that its macro does not list would be run by nobody, and nothing else would tell.
#[test]
fn every_case_is_listed_in_the_macro_of_its_suite() {
    for (suite, argument) in [
        ("store_suite", "StoreHarness"),
        ("queue_suite", "QueueHarness"),
        ("engine_suite", "EngineHarness"),
        ("backend_suite", "Subject"),
    ] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/testing").join(suite);
        let defined = defined(&directory, argument);
        let listed = listed(&fs::read_to_string(directory.join("mod.rs")).unwrap());
        assert!(defined.len() > 2, "{suite}: {defined:?}");
        assert_eq!(defined.symmetric_difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "{suite}");
    }
}

/// Returns `theme::case` for every public function of a suite that takes its argument alone.
fn defined(directory: &Path, argument: &str) -> BTreeSet<String> {
    let mut cases = BTreeSet::new();
    for file in fs::read_dir(directory).unwrap() {
        let file = file.unwrap().path();
        let theme = file.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
            let (case, arguments) = line.split_once('(').unwrap();
            if arguments.ends_with(&format!(": {argument}) {{")) {
                cases.insert(format!("{theme}::{case}"));
            }
        }
    }
    cases
}

/// Returns `theme::case` for every case that a macro lists, which it does after `$make` and a line's end.
fn listed(text: &str) -> BTreeSet<String> {
    let begins = ["$make,\n", "$make;\n"].iter().find_map(|mark| Some(text.find(mark)? + mark.len())).unwrap();
    let list = &text[begins..begins + text[begins..].find('}').unwrap()];
    let (mut cases, mut theme) = (BTreeSet::new(), "");
    for word in list.split(|c: char| c.is_whitespace() || "[],;".contains(c)).filter(|word| !word.is_empty()) {
        match word.strip_suffix(':') {
            Some(next) => theme = next,
            None => assert!(cases.insert(format!("{theme}::{word}")), "{word} is listed twice"),
        }
    }
    cases
}
