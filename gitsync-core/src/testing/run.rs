//! How cases are run.

use tokio::runtime::Builder;

/// Runs a test on a runtime of two threads: enough for what happens at once to really do so.
///
/// # Panics
/// If the runtime cannot be started.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a test can start threads").block_on(test)
}

/// Makes one `#[test]` of each case of a suite, in one module per theme.
#[doc(hidden)]
#[macro_export]
macro_rules! __suite_tests {
    ($suite:ident, $make:path, $($theme:ident: [$($case:ident),+ $(,)?])+) => {
        $(
            mod $theme {
                #[allow(unused_imports)]
                use super::*;

                $(
                    #[test]
                    fn $case() {
                        $crate::testing::run(async {
                            $crate::testing::$suite::$theme::$case($make().await).await;
                        });
                    }
                )+
            }
        )+
    };
}
