//! Calls that come at the same time, done together.

use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, oneshot};

use crate::error::{Error, ErrorKind, Result};

/// Has calls that come while earlier ones are at work wait for them, and then does them as one: for many it takes hardly longer
/// than for one. A call that comes alone is done at once.
///
/// It holds no more than the calls that wait for their answers.
///
/// # Examples
///
/// ```
/// use gitsync_core::together::Together;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> gitsync_core::Result<()> {
/// // Squares numbers, a hundred in one go.
/// let together = Together::new(1, 100, |_: &u64| 1);
/// let squares = |numbers: Vec<u64>| async move { Ok(numbers.iter().map(|number| number * number).collect()) };
/// assert_eq!(together.call(3, squares).await?, 9);
/// # Ok(())
/// # }
/// ```
pub struct Together<I, O> {
    most: usize,
    weight: fn(&I) -> usize,
    waiting: Mutex<Line<I, O>>,
    /// Taken by those who take all along that wait.
    turns: Semaphore,
}

/// Calls that wait, in the order in which they came.
struct Line<I, O> {
    calls: Vec<Waiting<I, O>>,
    next: u64,
}

struct Waiting<I, O> {
    number: u64,
    input: I,
    caller: oneshot::Sender<Result<O>>,
}

impl<I, O> fmt::Debug for Together<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together").field("most", &self.most).finish_non_exhaustive()
    }
}

impl<I, O> Together<I, O> {
    /// Creates one that has at most `turns` goes at a time, each of calls of no more than `most` in all, as `weight` counts them. A
    /// call that is heavier by itself is done alone.
    pub fn new(turns: usize, most: usize, weight: fn(&I) -> usize) -> Self {
        let waiting = Mutex::new(Line { calls: Vec::new(), next: 0 });
        Together { most, weight, waiting, turns: Semaphore::new(turns) }
    }

    /// Does a call. `work` is given the inputs of those that are done together and returns an answer to each, in their order;
    /// that of one of the callers is used for all, so that it must be the same for each of them.
    ///
    /// A caller that is dropped while it does the work takes none of the others with it: they are done again, by another one. So
    /// what the work does must happen as a whole or not at all, or be harmless to do twice.
    ///
    /// # Errors
    /// Those of the work, which all get to know that were done together.
    pub async fn call<F, W>(&self, input: I, work: W) -> Result<O>
    where
        I: Clone,
        W: Fn(Vec<I>) -> F,
        F: Future<Output = Result<Vec<O>>>,
    {
        'again: loop {
            let (caller, mut told) = oneshot::channel();
            let number = self.line(|line| line.add(input.clone(), caller));
            let mut waits = true;
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut told => match outcome {
                        Ok(outcome) => return outcome,
                        // Whoever took it along broke off.
                        Err(_) => continue 'again,
                    },
                    _turn = self.turns.acquire(), if waits => {
                        waits = self.line(|line| line.has(number));
                        if waits {
                            self.work(&work).await;
                        }
                    }
                }
            }
        }
    }

    /// Does the calls that have waited for longest.
    async fn work<F, W>(&self, work: &W)
    where
        W: Fn(Vec<I>) -> F,
        F: Future<Output = Result<Vec<O>>>,
    {
        let (inputs, callers): (Vec<_>, Vec<_>) =
            self.take().into_iter().map(|waiting| (waiting.input, waiting.caller)).unzip();
        let answers = match work(inputs).await {
            Ok(answers) if answers.len() != callers.len() => {
                Err(Error::new(ErrorKind::Internal, "not all calls were answered"))
            }
            answers => answers,
        };
        let mut answers = answers.map(Vec::into_iter);
        for caller in callers {
            let answer = answers.as_mut().map_err(|error| error.clone());
            // One that has gone away does not mind.
            let _ = caller.send(answer.map(|answers| answers.next().expect("there are as many answers as callers")));
        }
    }

    fn take(&self) -> Vec<Waiting<I, O>> {
        self.line(|line| {
            // Who has gone away wants nothing any more.
            line.calls.retain(|waiting| !waiting.caller.is_closed());
            let mut weight = 0;
            let fits = |waiting: &Waiting<I, O>| {
                weight += (self.weight)(&waiting.input);
                weight <= self.most
            };
            let count = line.calls.iter().map(fits).take_while(|fits| *fits).count().max(1);
            line.calls.drain(..count.min(line.calls.len())).collect()
        })
    }

    fn line<T>(&self, act: impl FnOnce(&mut Line<I, O>) -> T) -> T {
        // No code that holds the lock can panic half-way through a change.
        act(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<I, O> Line<I, O> {
    /// Adds a call and returns its number.
    fn add(&mut self, input: I, caller: oneshot::Sender<Result<O>>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.calls.push(Waiting { number, input, caller });
        number
    }

    fn has(&self, number: u64) -> bool {
        self.calls.iter().any(|waiting| waiting.number == number)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    type Sizes = Arc<Mutex<Vec<usize>>>;

    /// Doubles numbers, but for those of a batch that has a zero in it, and notes how many are done at once.
    async fn double(sizes: Sizes, numbers: Vec<u64>) -> Result<Vec<u64>> {
        sizes.lock().unwrap().push(numbers.len());
        tokio::task::yield_now().await;
        if numbers.contains(&0) {
            return Err(Error::new(ErrorKind::Unavailable, "a zero"));
        }
        Ok(numbers.into_iter().map(|number| 2 * number).collect())
    }

    /// Has calls wait while somebody else has the turn, then lets them go; returns their answers and what was done at once.
    async fn calls(together: &Arc<Together<u64, u64>>, inputs: &[u64]) -> (Vec<Result<u64>>, Vec<usize>) {
        let sizes = Sizes::default();
        let turn = together.turns.acquire().await.unwrap();
        let mut calls = Vec::new();
        for (at, input) in inputs.iter().enumerate() {
            let (together, sizes, input) = (Arc::clone(together), Arc::clone(&sizes), *input);
            let waits = Arc::clone(&together);
            let call = async move { together.call(input, |numbers| double(Arc::clone(&sizes), numbers)).await };
            calls.push(tokio::spawn(call));
            while waits.line(|line| line.calls.len()) <= at {
                tokio::task::yield_now().await;
            }
        }
        drop(turn);
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await.unwrap());
        }
        let sizes = sizes.lock().unwrap().clone();
        (answers, sizes)
    }

    fn of_ten() -> Arc<Together<u64, u64>> {
        Arc::new(Together::new(1, 10, |number| usize::try_from(*number).unwrap()))
    }

    #[tokio::test]
    async fn calls_that_wait_are_done_together_and_each_gets_its_own_answer() {
        let (answers, sizes) = calls(&of_ten(), &[1, 2, 3, 4, 5, 20, 6]).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, [2, 4, 6, 8, 10, 40, 12]);
        // The fifth is too much for the first four, and the sixth for any.
        assert_eq!(sizes, [4, 1, 1, 1]);
    }

    #[tokio::test]
    async fn all_that_were_done_together_hear_of_a_failure() {
        let together = of_ten();
        let (answers, sizes) = calls(&together, &[1, 0, 3]).await;
        assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().kind() == ErrorKind::Unavailable));
        assert_eq!(sizes, [3]);
        assert_eq!(calls(&together, &[7]).await.0.remove(0).unwrap(), 14);
    }

    #[tokio::test]
    async fn a_caller_that_breaks_off_takes_nobody_with_it() {
        let together = of_ten();
        let turn = together.turns.acquire().await.unwrap();
        let stuck = {
            let together = Arc::clone(&together);
            let never = |_| std::future::pending::<Result<Vec<u64>>>();
            tokio::spawn(async move { together.call(1, never).await })
        };
        let other = {
            let together = Arc::clone(&together);
            let sizes = Sizes::default();
            tokio::spawn(async move { together.call(2, |numbers| double(Arc::clone(&sizes), numbers)).await })
        };
        while together.line(|line| line.calls.len()) < 2 {
            tokio::task::yield_now().await;
        }
        drop(turn);
        while !together.line(|line| line.calls.is_empty()) {
            tokio::task::yield_now().await;
        }
        stuck.abort();
        assert!(stuck.await.unwrap_err().is_cancelled());
        assert_eq!(other.await.unwrap().unwrap(), 4);
    }

    #[tokio::test]
    async fn as_many_are_at_work_as_may_be() {
        let together = Arc::new(Together::new(2, 10, |_: &u64| 1));
        let start = |gate: &Arc<tokio::sync::Notify>, input| {
            let (together, gate) = (Arc::clone(&together), Arc::clone(gate));
            let work = move |numbers| {
                let gate = Arc::clone(&gate);
                async move {
                    gate.notified().await;
                    Ok(numbers)
                }
            };
            tokio::spawn(async move { together.call(input, work).await })
        };
        let gates = [(); 3].map(|()| Arc::new(tokio::sync::Notify::new()));
        let mut calls = Vec::new();
        for (gate, waiting) in gates.iter().zip([0, 0, 1]) {
            calls.push(start(gate, calls.len() as u64));
            while together.line(|line| line.next) < calls.len() as u64
                || together.line(|line| line.calls.len()) > waiting
            {
                tokio::task::yield_now().await;
            }
        }
        gates[1].notify_one();
        gates[2].notify_one();
        assert_eq!(
            calls.remove(2).await.unwrap().unwrap(),
            2,
            "the turn of the second is free, that of the first is not"
        );
        gates[0].notify_one();
        assert_eq!(calls.remove(0).await.unwrap().unwrap(), 0);
    }

    #[tokio::test]
    async fn an_answer_for_each_is_missed() {
        let together = of_ten();
        let error = together.call(1, |_| async { Ok(Vec::new()) }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
}
