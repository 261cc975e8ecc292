//! Who holds a connection, in debug builds: whoever asks for a second one while holding one panics, so that a test
//! finds it before twelve strangers do (G29). That is a task, or a thread that does one piece of work after the other,
//! as SQLite's writer. Release builds look at nothing.

#[cfg(debug_assertions)]
mod watched {
    use std::cell::Cell;
    use std::collections::HashSet;
    use std::sync::{LazyLock, Mutex, PoisonError};
    use std::thread::{self, ThreadId};

    use tokio::task;

    /// Who can hold a connection.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    enum Holder {
        Task(task::Id),
        Thread(ThreadId),
    }

    static HOLDERS: LazyLock<Mutex<HashSet<Holder>>> = LazyLock::new(Mutex::default);

    thread_local! {
        static WATCHED: Cell<bool> = const { Cell::new(false) };
    }

    fn holders() -> std::sync::MutexGuard<'static, HashSet<Holder>> {
        HOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at_hand() -> Option<Holder> {
        let thread = || WATCHED.get().then(|| Holder::Thread(thread::current().id()));
        task::try_id().map(Holder::Task).or_else(thread)
    }

    /// From now on this thread is watched like a task: it works for one at a time.
    pub fn watch_this_thread() {
        WATCHED.set(true);
    }

    /// Panics when the running task or thread holds a connection.
    pub fn assert_none() {
        let holds = at_hand().is_some_and(|holder| holders().contains(&holder));
        assert!(!holds, "a second connection was asked for by whoever holds one (G29)");
    }

    /// That whoever made it holds a connection, until dropped.
    #[derive(Debug)]
    pub struct Held(Option<Holder>);

    impl Held {
        /// Panics when the running task or thread holds a connection already. What is neither is not watched.
        pub fn only() -> Self {
            assert_none();
            let holder = at_hand();
            if let Some(holder) = holder {
                holders().insert(holder);
            }
            Self(holder)
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            if let Some(holder) = self.0 {
                holders().remove(&holder);
            }
        }
    }
}

#[cfg(not(debug_assertions))]
mod watched {
    /// Nothing is watched here.
    pub const fn watch_this_thread() {}

    /// Nothing is watched here.
    pub const fn assert_none() {}

    /// Nothing is watched here.
    #[derive(Debug)]
    pub struct Held;

    impl Held {
        /// Nothing is watched here.
        pub const fn only() -> Self {
            Self
        }
    }
}

pub use watched::{Held, assert_none, watch_this_thread};

#[cfg(test)]
#[cfg(debug_assertions)]
mod tests {
    use super::*;

    #[test]
    fn so_does_a_thread_that_is_watched() {
        let second = std::thread::spawn(|| {
            watch_this_thread();
            let _first = Held::only();
            assert_none();
        });
        assert!(second.join().is_err());
        let other = std::thread::spawn(|| {
            let _first = Held::only();
            assert_none();
        });
        other.join().unwrap();
    }

    #[tokio::test]
    async fn a_task_that_holds_a_connection_gets_no_second_one() {
        let second = tokio::spawn(async {
            let _first = Held::only();
            assert_none();
        });
        assert!(second.await.unwrap_err().is_panic());

        let after = tokio::spawn(async {
            drop(Held::only());
            let _second = Held::only();
        });
        after.await.unwrap();
    }
}
