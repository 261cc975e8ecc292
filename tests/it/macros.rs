//! What the test files are written in.

/// Makes of each `async fn name(engine: Engine)` a test `name::sqlite` and a test `name::postgres`.
macro_rules! both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($engine:ident: Engine) $body:block)+) => {$(
        $(#[$meta])*
        async fn $name($engine: $crate::actors::Engine) $body

        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                Box::pin(super::$name($crate::actors::Engine::Sqlite)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if $crate::actors::postgres_server().is_some() {
                    Box::pin(super::$name($crate::actors::Engine::Postgres)).await;
                }
            }
        }
    )+};
}

/// A transaction of a test's own: `in_tx!(idp, [user, code], |tx| store::…(tx, &user).await)`.
macro_rules! in_tx {
    ($idp:expr, [$($captured:ident),* $(,)?], |$tx:ident| $body:expr) => {{
        $(let $captured = $captured.clone();)*
        let (db, deadline) = ($idp.app.db.clone(), $idp.app.patient_deadline());
        let done = db.transact(deadline, connect_idp::store::Extent::Many, move |mut owned: connect_idp::store::Tx| {
            $(let $captured = $captured.clone();)*
            async move {
                let done = {
                    let $tx = &mut owned;
                    async { $body }.await
                };
                (owned, done)
            }
        });
        done.await.unwrap()
    }};
}
