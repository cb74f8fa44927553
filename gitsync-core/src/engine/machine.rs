//! The name of the machine that this process runs on.

use std::fs;

/// Where Linux keeps an id that all containers on one kernel see, and that is another one after each start.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Returns what all processes on one kernel have in common, among which locks on files work: in containers, too, whose host
/// names differ. Where there is no such id, it is the host name.
pub(super) fn this_machine() -> String {
    let boot_id = fs::read_to_string(BOOT_ID).ok().map(|id| id.trim().to_owned());
    let host_name = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    boot_id.filter(|id| !id.is_empty()).unwrap_or_else(host_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::MAX_MACHINE_BYTES;

    #[test]
    fn a_machine_has_one_name() {
        let name = this_machine();
        assert!((1..=MAX_MACHINE_BYTES).contains(&name.len()), "{name:?}");
        assert!(!name.contains(char::is_whitespace), "{name:?}");
        assert_eq!(this_machine(), name);
    }
}
