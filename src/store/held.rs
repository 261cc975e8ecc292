//! Who holds a connection, in debug builds: a task that asks for a second one while it holds one panics, so that a test
//! finds it before twelve strangers do (G29). Release builds look at nothing.

#[cfg(debug_assertions)]
mod watched {
    use std::collections::HashSet;
    use std::sync::{LazyLock, Mutex, PoisonError};

    use tokio::task;

    static HOLDERS: LazyLock<Mutex<HashSet<task::Id>>> = LazyLock::new(Mutex::default);

    fn holders() -> std::sync::MutexGuard<'static, HashSet<task::Id>> {
        HOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Panics when the running task holds a connection.
    pub fn assert_none() {
        let holds = task::try_id().is_some_and(|task| holders().contains(&task));
        assert!(!holds, "a task asked for a second connection while it held one (G29)");
    }

    /// That the task it was made in holds a connection, until dropped.
    #[derive(Debug)]
    pub struct Held(Option<task::Id>);

    impl Held {
        /// Panics when the running task holds a connection already. What runs outside a task is not watched.
        pub fn only() -> Self {
            assert_none();
            let task = task::try_id();
            if let Some(task) = task {
                holders().insert(task);
            }
            Self(task)
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            if let Some(task) = self.0 {
                holders().remove(&task);
            }
        }
    }
}

#[cfg(not(debug_assertions))]
mod watched {
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

pub use watched::{Held, assert_none};

#[cfg(test)]
#[cfg(debug_assertions)]
mod tests {
    use super::*;

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
