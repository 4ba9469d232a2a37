//! A fixed number of items that circulate between two threads: spare ones to the producer, ready
//! ones, in order, to the consumer.
//!
//! Unlike channels, which allocate when a thread first waits or a block of slots is full, this never
//! does.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::error::Result;

struct State<T> {
    spare: Vec<T>,
    ready: VecDeque<Result<T>>,
    /// One end has been dropped.
    is_closed: bool,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

/// The producer's or the consumer's end. Dropping either wakes the other.
pub struct End<T>(Arc<Shared<T>>);

/// Both ends of an exchange of these spare items.
pub fn exchange<T>(spare: Vec<T>) -> (End<T>, End<T>) {
    let ready = VecDeque::with_capacity(spare.len());
    let state = Mutex::new(State { spare, ready, is_closed: false });
    let shared = Arc::new(Shared { state, changed: Condvar::new() });
    (End(Arc::clone(&shared)), End(shared))
}

impl<T> End<T> {
    /// Waits for a spare item; `None` once the consumer is gone.
    pub fn take_spare(&self) -> Option<T> {
        let mut state = self.wait_for(|state| !state.spare.is_empty());
        if state.is_closed { None } else { state.spare.pop() }
    }

    /// Hands over a ready item, or the reason why there is none.
    pub fn put_ready(&self, made: Result<T>) {
        self.change(|state| state.ready.push_back(made));
    }

    /// Waits for the next ready item; `None` once the producer is gone and all are taken.
    pub fn take_ready(&self) -> Option<Result<T>> {
        self.wait_for(|state| !state.ready.is_empty()).ready.pop_front()
    }

    /// The next ready item, if there is one.
    pub fn try_take_ready(&self) -> Option<Result<T>> {
        self.state().ready.pop_front()
    }

    /// Gives back a used item.
    pub fn put_spare(&self, used: T) {
        self.change(|state| state.spare.push(used));
    }

    /// Tells the other end that nothing more will come.
    pub fn close(&self) {
        self.change(|state| state.is_closed = true);
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.state.lock().expect("nothing panics under the lock")
    }

    fn change(&self, change: impl FnOnce(&mut State<T>)) {
        change(&mut self.state());
        self.0.changed.notify_all();
    }

    fn wait_for(&self, is_there: impl Fn(&State<T>) -> bool) -> MutexGuard<'_, State<T>> {
        let waits = |state: &mut State<T>| !state.is_closed && !is_there(state);
        self.0.changed.wait_while(self.state(), waits).expect("nothing panics under the lock")
    }
}

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_go_round_in_order() {
        let (maker, user) = exchange(vec![0, 0, 0]);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for number in 1..=1000 {
                    maker.take_spare().unwrap();
                    maker.put_ready(Ok(number));
                }
            });
            for number in 1..=1000 {
                let made = user.take_ready().unwrap().unwrap();
                assert_eq!(made, number);
                user.put_spare(made);
            }
            assert!(user.take_ready().is_none(), "the maker has gone");
        });
    }

    #[test]
    fn the_maker_ends_with_the_user() {
        let (maker, user) = exchange(vec![0]);
        std::thread::scope(|scope| {
            let made = scope.spawn(move || {
                let made = std::iter::from_fn(|| maker.take_spare());
                made.map(|number| maker.put_ready(Ok(number))).count()
            });
            user.take_ready().unwrap().unwrap();
            drop(user);
            assert_eq!(made.join().unwrap(), 1);
        });
    }
}
