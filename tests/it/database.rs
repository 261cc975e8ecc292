//! The database as it comes and goes (G33).

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::Duration;

use connect_idp::app::{App, Opening};

use crate::actors::{Engine, Idp};

both_engines! {
    /// A keys folder may be a secret that nobody can write to: once its key is there, nothing else is made in it.
    async fn a_start_writes_nothing_to_the_keys_folder(engine: Engine) {
        let idp = Idp::start(engine).await;
        let dir = idp.app.config.keys.dir.clone();
        // Whoever runs as root could write all the same: that nothing came or went shows in the folder's own time.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o500)).unwrap();
        let before = fs::metadata(&dir).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        for opening in [Opening::Run, Opening::Migrate, Opening::Existing] {
            App::open_with(idp.app.config.clone(), opening, idp.app.clock.clone(), idp.app.random.clone()).await.unwrap();
        }
        let after = fs::metadata(&dir).unwrap();
        assert_eq!((before.mtime(), before.mtime_nsec()), (after.mtime(), after.mtime_nsec()));
        let names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["kek-0001"]);
        if engine == Engine::Sqlite {
            assert!(idp.dir().join("connect.db.migrating").exists());
        }
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    }
}
