//! How much of a history is fetched.

use std::fmt;
use std::num::NonZeroU32;

use crate::error::{Error, ErrorKind, Result};

/// How many commits of each branch, tag and other reference are fetched, counted in generations from its tip, which is the
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Depth(NonZeroU32);

impl Depth {
    /// The most generations. Who wants more wants all of them.
    pub const MAX: u32 = 1_000_000;

    /// Creates a depth after checking it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless it is between 1 and [`Depth::MAX`].
    pub fn new(generations: i64) -> Result<Self> {
        let depth = u32::try_from(generations).ok().filter(|generations| *generations <= Depth::MAX);
        depth.and_then(NonZeroU32::new).map(Depth).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, format!("a depth is between 1 and {}", Depth::MAX))
                .in_field("depth")
                .with("depth", generations)
                .hint("leave it out for the whole history")
        })
    }

    /// Returns the number of generations.
    pub fn get(self) -> NonZeroU32 {
        self.0
    }
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_depth_is_at_least_one_and_not_beyond_the_bound() {
        for good in [1, 50, Depth::MAX] {
            assert_eq!(Depth::new(good.into()).unwrap().get().get(), good);
        }
        for bad in [0, -1, i64::from(Depth::MAX) + 1, i64::MAX, i64::from(u32::MAX) + 2] {
            let error = Depth::new(bad).unwrap_err();
            assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidInput, Some("depth")), "{bad}");
        }
    }
}
