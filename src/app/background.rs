//! Work that belongs to the process and to no request: a browser that goes away ends none of it, and a stop waits until
//! each piece has come to where it may be left.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;

/// What is under way.
#[derive(Debug)]
pub struct Background {
    stopping: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
}

impl Default for Background {
    fn default() -> Self {
        Self { stopping: watch::Sender::new(false), tasks: Mutex::default() }
    }
}

impl Background {
    /// Begins work, which looks at [`Background::is_stopping`] where it may be left.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    /// Whether work is to be left where it may be.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Asks all work to come to where it may be left.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until all work has ended.
    pub async fn ended(&self) {
        loop {
            let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
            if tasks.is_empty() {
                return;
            }
            while let Some(ended) = tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!("work in the background died: {error}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_stop_waits_for_work_and_for_what_it_begins() {
        let (background, done) = (Arc::new(Background::default()), Arc::new(Mutex::new(Vec::new())));
        let (inner, say) = (Arc::clone(&background), Arc::clone(&done));
        background.spawn(async move {
            while !inner.is_stopping() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            say.lock().unwrap().push("first");
            let say = Arc::clone(&say);
            inner.spawn(async move { say.lock().unwrap().push("second") });
        });
        background.stop();
        background.ended().await;
        assert_eq!(*done.lock().unwrap(), ["first", "second"]);
    }
}
