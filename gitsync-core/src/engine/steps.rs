//! The places between which a process may die.

use std::fmt;

use async_trait::async_trait;

/// Is told whenever a task gets from one durable effect to the next.
///
/// In production nobody listens. Tests use it to stop a worker at any step and see that everything comes right; an
/// implementation that never returns is a process that died there.
#[async_trait]
pub trait StepHook: fmt::Debug + Send + Sync {
    /// Is called after the step named `step`, before the next one.
    async fn reached(&self, step: &'static str);
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSteps;

#[async_trait]
impl StepHook for NoSteps {
    async fn reached(&self, _step: &'static str) {}
}
