//! Opening the database and bringing its tables to this build's state.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, ConnectOptions as _, Connection as _, Executor as _};

use super::{Backend, Store, StoreError};
use crate::config::checked::Database;

static SQLITE: Migrator = sqlx::migrate!("schema/sql/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("schema/sql/postgres");

/// Each SQLite connection is a thread; one writes, the others look things up.
const SQLITE_CONNECTIONS_MAX: u32 = 3;
const POSTGRES_CONNECTIONS_MAX: u32 = 8;
/// A caller waits this long for a connection, then is told that the database does not answer.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(5);
/// At start the database is waited for this long; then calls go on without it.
const START_WITHIN: Duration = Duration::from_secs(3);

impl Store {
    /// Open the database and bring its tables to this build's state. When it does not answer now, the store is
    /// opened all the same: each use fails until it is back, and the projector keeps trying.
    ///
    /// # Errors
    /// [`StoreError::Address`] when the address cannot be read.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let store = match database {
            Database::Sqlite(path) => {
                if let Some(dir) = path.parent()
                    && let Err(error) = std::fs::create_dir_all(dir)
                {
                    tracing::error!(dir = %dir.display(), %error, "the database's directory cannot be made");
                }
                Self::pool(&sqlite_url(path), Backend::Sqlite, SQLITE_CONNECTIONS_MAX)?
            }
            Database::Postgres(url) => {
                Self::pool(url, Backend::Postgres, POSTGRES_CONNECTIONS_MAX)?
            }
        };
        match tokio::time::timeout(START_WITHIN, store.ensure_ready()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "calls go on without the database"),
            Err(_) => tracing::error!("the database does not answer; calls go on without it"),
        }
        Ok(store)
    }

    /// Whether the database answers. Makes and changes nothing; a SQLite file that is not there yet is fine.
    ///
    /// # Errors
    /// [`StoreError`] with what it says.
    pub async fn answers(database: &Database) -> Result<(), StoreError> {
        sqlx::any::install_default_drivers();
        let url = match database {
            Database::Sqlite(path) if !path.exists() => return Ok(()),
            Database::Sqlite(path) => sqlite_url(path).replace("mode=rwc", "mode=ro"),
            Database::Postgres(url) => url.clone(),
        };
        let options: AnyConnectOptions = url.parse().map_err(StoreError::Address)?;
        let mut connection = options.disable_statement_logging().connect().await?;
        let question = match database {
            Database::Sqlite(_) => "SELECT count(*) FROM sqlite_master",
            Database::Postgres(_) => "SELECT 1",
        };
        connection.execute(question).await?;
        connection.close().await?;
        Ok(())
    }

    fn pool(url: &str, backend: Backend, connections_max: u32) -> Result<Self, StoreError> {
        let options: AnyConnectOptions = url.parse().map_err(StoreError::Address)?;
        let pool = AnyPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_WITHIN)
            .after_connect(move |connection, _| Box::pin(prepare(connection, backend)))
            .connect_lazy_with(options.disable_statement_logging());
        Ok(Self {
            pool,
            backend,
            ready: Arc::new(AtomicBool::new(false)),
        })
    }

    /// Make or migrate the tables unless that was done. Errors when the database does not answer.
    ///
    /// # Errors
    /// [`StoreError::Migrate`]: it does not answer, or a newer build has changed its tables.
    pub async fn ensure_ready(&self) -> Result<(), StoreError> {
        if self.ready.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.backend {
            Backend::Sqlite => SQLITE.run(&self.pool).await?,
            Backend::Postgres => POSTGRES.run(&self.pool).await?,
        }
        self.ready.store(true, Ordering::Release);
        Ok(())
    }

    /// Close all connections. Uses after this fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// The statement that begins a transaction which reads before it writes.
    pub(super) const fn begin_sql(&self) -> &'static str {
        match self.backend {
            // Taking the write lock at once: taking it later can fail without a way to wait.
            Backend::Sqlite => "BEGIN IMMEDIATE",
            Backend::Postgres => "BEGIN",
        }
    }
}

async fn prepare(connection: &mut AnyConnection, backend: Backend) -> Result<(), sqlx::Error> {
    match backend {
        Backend::Sqlite => {
            // NORMAL: after a power cut the last transactions may be gone, together with their cursor, so they are
            // made again from the journal. The audit list asks for more where it writes.
            connection
                .execute(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;",
                )
                .await?;
        }
        Backend::Postgres => {
            connection
                .execute("SET application_name = 'firstring'")
                .await?;
        }
    }
    Ok(())
}

/// `sqlite:///path?mode=rwc` with what has a meaning in an address escaped.
fn sqlite_url(path: &Path) -> String {
    use std::fmt::Write as _;
    let mut url = String::from("sqlite://");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                url.push(char::from(*byte));
            }
            _ => {
                let _ = write!(url, "%{byte:02X}");
            }
        }
    }
    url.push_str("?mode=rwc");
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_with_any_character_makes_an_address() {
        assert_eq!(
            sqlite_url(Path::new("/var/lib/急救/a b?.db")),
            "sqlite:///var/lib/%E6%80%A5%E6%95%91/a%20b%3F.db?mode=rwc"
        );
    }
}
