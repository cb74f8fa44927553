//! How large tests are.

/// Returns the usual size of a test, or the full one if `GITSYNC_TEST_FULL` is set in the environment.
pub fn size(usual: usize, full: usize) -> usize {
    if std::env::var_os("GITSYNC_TEST_FULL").is_some() { full } else { usual }
}
