//! A store and a queue that fail, lose an answer or keep a call waiting where a test wants them to.

mod faults;
mod queue;
mod store;

pub use self::faults::HeldCall;
pub use self::queue::{FaultyQueue, QueueCall};
pub use self::store::{FaultyStore, StoreCall};

/// Makes a type that hands every call of a trait on to another implementation, unless a fault was planned for it.
///
/// It is given the calls that return a result, and then what else the trait has.
macro_rules! faulty {
    (
        $(#[$doc:meta])* $faulty:ident for $trait:ident, with the calls $call:ident {
            $($variant:ident => $method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+
        }
        $($other:tt)*
    ) => {
        #[doc = concat!("The calls of a [`", stringify!($trait), "`](crate::", stringify!($trait), ") that can go wrong.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $call {
            $(#[doc = concat!(
                "See [`", stringify!($method), "`](crate::", stringify!($trait), "::", stringify!($method), ")."
            )] $variant,)+
        }

        impl $call {
            /// Every call, in the trait's order.
            pub const ALL: &[$call] = &[$($call::$variant),+];
        }

        $(#[$doc])*
        #[derive(Debug)]
        pub struct $faulty {
            inner: std::sync::Arc<dyn $trait>,
            faults: crate::testing::faulty::faults::Faults<$call>,
        }

        impl $faulty {
            /// Wraps an implementation. Nothing goes wrong until it is told to.
            pub fn new(inner: std::sync::Arc<dyn $trait>) -> Self {
                $faulty { inner, faults: Default::default() }
            }

            /// Makes the `nth` such call from now on fail (1 is the next) before anything happens. Each fault happens once.
            ///
            /// # Panics
            /// If `nth` is 0, as below.
            pub fn fail(&self, call: $call, nth: usize, error: crate::Error) {
                self.faults.fail(call, nth, error);
            }

            /// Makes the `nth` such call from now on happen and fail for its caller all the same: the answer is lost.
            ///
            /// # Panics
            /// If `nth` is 0.
            pub fn fail_after(&self, call: $call, nth: usize, error: crate::Error) {
                self.faults.fail_after(call, nth, error);
            }

            /// Keeps the `nth` such call from now on waiting, before anything happens, until it is released.
            ///
            /// # Panics
            /// If `nth` is 0.
            pub fn delay(&self, call: $call, nth: usize) -> crate::testing::HeldCall {
                self.faults.delay(call, nth)
            }

            /// Makes all calls fail as [`Unavailable`](crate::ErrorKind::Unavailable), until it comes back. They count
            /// like others, and a fault that was planned for one of them does not happen.
            pub fn go_away(&self) {
                self.faults.set_away(true);
            }

            /// Ends what [`go_away`](Self::go_away) began.
            pub fn come_back(&self) {
                self.faults.set_away(false);
            }

            /// Tells how often a call was made, whatever came of it.
            pub fn count(&self, call: $call) -> usize {
                self.faults.count(call)
            }
        }

        #[async_trait::async_trait]
        impl $trait for $faulty {
            $(async fn $method(&self, $($argument: $type),*) -> crate::Result<$answer> {
                let instead = self.faults.before($call::$variant).await?;
                let answer = self.inner.$method($($argument),*).await;
                instead.map_or(answer, Err)
            })+
            $($other)*
        }
    };
}
use faulty;
