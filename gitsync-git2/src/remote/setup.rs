//! The settings that libgit2 has for the whole process.

use std::sync::OnceLock;

use git2::ConfigLevel;
use gitsync_core::{Error, ErrorKind, Result};

use super::registry::{SCHEME, connect};

/// Makes libgit2 use our streams and look for no configuration outside of repositories. Only the first call does anything.
///
/// # Errors
/// [`ErrorKind::Internal`] if libgit2 refuses.
#[allow(unsafe_code, reason = "libgit2 wants these calls not to happen at the same time as others of their kind")]
pub(crate) fn setup() -> Result<()> {
    static DONE: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        let levels = [ConfigLevel::ProgramData, ConfigLevel::System, ConfigLevel::XDG, ConfigLevel::Global];
        // SAFETY: both change a table of libgit2's. Here they are called one after the other and once in a process; libgit2
        // reads the tables only when a repository is opened or a remote connected, which this crate does only after this.
        let set = || unsafe {
            for level in levels {
                git2::opts::set_search_path(level, "")?;
            }
            git2::transport::register(SCHEME, connect)
        };
        set().map_err(|error: git2::Error| error.message().to_owned())
    });
    done.clone().map_err(|why| Error::new(ErrorKind::Internal, format!("libgit2 cannot be set up: {why}")))
}

#[cfg(test)]
mod tests {
    use git2::Config;

    use super::*;

    #[test]
    fn no_configuration_of_the_user_is_found() {
        setup().unwrap();
        assert!(Config::find_global().is_err());
        assert!(Config::find_system().is_err());
        assert!(Config::find_xdg().is_err());
    }
}
