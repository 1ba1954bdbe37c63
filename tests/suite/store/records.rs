//! Records, outbox and projector, on SQLite and on PostgreSQL.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use firstring::call_record::CallRecord;
use firstring::config::checked::Database;
use firstring::id::{CallId, DestinationId};
use firstring::store::journal::{Journal, JournalOptions};
use firstring::store::projector::{Projector, Wanted};
use firstring::store::records::{Due, Store};
use firstring::switch::Event;
use firstring::time::{Millis, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::one_call::{self, Script};
use crate::support::postgres::Cluster;

/// Each scenario as a test on both databases.
macro_rules! on_both_databases {
    ($($scenario:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $scenario() {
                let dir = tempfile::tempdir().unwrap();
                let database = super::Database::Sqlite(dir.path().join("not there yet/records.db"));
                super::$scenario(&database).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $scenario() {
                let Some(cluster) = super::Cluster::start() else { return };
                super::$scenario(&cluster.database()).await;
            })+
        }
    };
}

on_both_databases!(
    records_and_deliveries_follow_the_journal,
    projector_that_dies_again_and_again_makes_everything_exactly_once,
    new_database_gets_the_same_revisions_and_ids_from_the_journal,
    call_that_is_not_taken_blocks_only_itself,
    given_up_delivery_is_listed_and_can_be_sent_again,
    number_has_a_history_and_playbacks_leave_a_trace,
    delivered_rows_go_in_time_and_the_sequence_goes_on,
    name_with_a_nul_stops_no_record,
);

struct Centre {
    dir: tempfile::TempDir,
    journal: Option<Journal>,
}

impl Centre {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path(), JournalOptions::new("test")).unwrap();
        Self {
            dir,
            journal: Some(journal),
        }
    }

    fn journal(&self) -> &Journal {
        self.journal.as_ref().unwrap()
    }

    async fn write(&self, events: &[Event]) {
        self.journal().append(one_call::entries(events));
        self.journal().flush().await;
    }

    fn projector(&self, store: &Store) -> Projector {
        let wanted = vec![
            Wanted::new("dispatch".into(), &[]),
            Wanted::new(
                "emr".into(),
                &["call.closed".to_owned(), "call.arrived".to_owned()],
            ),
        ];
        let wake = Arc::new(Notify::new());
        Projector::for_centre(
            self.journal().reader(),
            store.clone(),
            one_call::centre(),
            wanted,
            wake,
        )
    }

    /// Run a projector until it has taken in everything.
    async fn project(&self, store: &Store) {
        let projector = self.projector(store);
        let (mut status, last) = (projector.status(), self.journal().reader().last());
        let task = tokio::spawn(projector.run());
        status
            .wait_for(|status| status.cursor >= last)
            .await
            .unwrap();
        task.abort();
        drop(task.await);
    }
}

async fn open(database: &Database) -> Store {
    let store = Store::open(database).await.unwrap();
    store.ensure_ready().await.unwrap();
    store
}

fn dispatch() -> DestinationId {
    "dispatch".into()
}

fn emr() -> DestinationId {
    "emr".into()
}

fn later() -> Timestamp {
    Timestamp::from_micros(one_call::START_US) + Duration::from_secs(86_400)
}

/// Deliver everything to one destination; returns the rows in the order they were taken.
async fn drain(store: &Store, destination: &DestinationId) -> Vec<Due> {
    let mut taken = Vec::new();
    loop {
        let due = store.outbox_due(destination, later(), 7).await.unwrap();
        if due.is_empty() {
            return taken;
        }
        for row in due {
            store.outbox_delivered(row.id, later()).await.unwrap();
            taken.push(row);
        }
    }
}

/// Revisions and sequences per call must be 1, 2, 3, ... in the order delivered.
#[track_caller]
fn assert_in_order(rows: &[Due], every_revision: bool) -> BTreeMap<CallId, u64> {
    let mut sequences = BTreeMap::new();
    let mut revisions: BTreeMap<CallId, u64> = BTreeMap::new();
    for row in rows {
        let body: Value = serde_json::from_str(&row.body).unwrap();
        let sequence = sequences.entry(row.call).or_insert(0);
        *sequence += 1;
        assert_eq!(row.sequence, *sequence, "sequence of {}", row.call);
        assert_eq!(body["sequence"], json!(sequence.to_string()));
        assert_eq!(body["id"], json!(row.event_id.to_string()));
        let revision = body["data"]["rev"].as_u64().unwrap();
        let before = revisions.insert(row.call, revision).unwrap_or(0);
        assert!(if every_revision {
            revision == before + 1
        } else {
            revision > before
        });
    }
    revisions
}

fn folded(script: &Script) -> Value {
    let record = CallRecord::fold(&one_call::centre(), &script.events).unwrap();
    serde_json::to_value(record).unwrap()
}

/// Calls whose events are mixed as they would be in a busy hour.
fn busy_hour(calls: u64) -> (Vec<Script>, Vec<Event>) {
    let scripts: Vec<_> = (0..calls)
        .map(|n| {
            let caller = format!("138001380{n:02}");
            if n % 3 == 2 {
                one_call::abandoned(n, &caller)
            } else {
                one_call::answered(n, &caller)
            }
        })
        .collect();
    let longest = scripts
        .iter()
        .map(|script| script.events.len())
        .max()
        .unwrap_or(0);
    let mut mixed = Vec::new();
    for step in 0..longest {
        mixed.extend(
            scripts
                .iter()
                .filter_map(|script| script.events.get(step).cloned()),
        );
    }
    (scripts, mixed)
}

async fn records_and_deliveries_follow_the_journal(database: &Database) {
    let (scripts, events) = busy_hour(9);
    let (centre, store) = (Centre::new(), open(database).await);
    centre.write(&events).await;
    centre.project(&store).await;
    for script in &scripts {
        let stored = store.record(script.call).await.unwrap().unwrap();
        assert_eq!(
            stored,
            folded(script),
            "the database says what a replay says"
        );
    }
    let newest = store.records(None, 2).await.unwrap();
    assert_eq!(newest, vec![folded(&scripts[8]), folded(&scripts[7])]);

    let rows = drain(&store, &dispatch()).await;
    let revisions = assert_in_order(&rows, true);
    for script in &scripts {
        assert_eq!(
            Some(revisions[&script.call]),
            folded(script)["rev"].as_u64()
        );
    }
    let first: Value = serde_json::from_str(&rows[0].body).unwrap();
    assert_eq!(
        (
            &first["specversion"],
            &first["type"],
            &first["source"],
            &first["subject"],
            &first["time"]
        ),
        (
            &json!("1.0"),
            &json!("call.arrived"),
            &json!("/centre/sz120"),
            &json!(rows[0].call.to_string()),
            &json!("2026-11-22T00:30:00.000Z"),
        )
    );
    let wanted = drain(&store, &emr()).await;
    assert_in_order(&wanted, false);
    assert_eq!(
        wanted.len(),
        2 * scripts.len(),
        "only the types it wants, without a gap in the sequence"
    );
    let counts = store.outbox_counts().await.unwrap();
    assert_eq!(
        (counts[0].pending, counts[0].delivered),
        (0, rows.len() as u64)
    );
    assert_eq!(counts[1].destination, emr());
}

async fn projector_that_dies_again_and_again_makes_everything_exactly_once(database: &Database) {
    let (scripts, events) = busy_hour(6);
    let (centre, store) = (Centre::new(), open(database).await);
    for (n, chunk) in events.chunks(5).enumerate() {
        centre.write(chunk).await;
        let task = tokio::spawn(centre.projector(&store).run());
        // At another place each time: before, in or after its transaction.
        tokio::time::sleep(Duration::from_micros(700 * n as u64 % 9_000)).await;
        task.abort();
        drop(task.await);
    }
    centre.project(&store).await;
    for script in &scripts {
        assert_eq!(
            store.record(script.call).await.unwrap().unwrap(),
            folded(script)
        );
    }
    let rows = drain(&store, &dispatch()).await;
    let revisions = assert_in_order(&rows, true);
    assert_eq!(revisions.len(), scripts.len());
    let deliveries: u64 = scripts
        .iter()
        .map(|script| folded(script)["rev"].as_u64().unwrap())
        .sum();
    assert_eq!(rows.len() as u64, deliveries);
}

async fn new_database_gets_the_same_revisions_and_ids_from_the_journal(database: &Database) {
    let (_, events) = busy_hour(3);
    let (mut centre, store) = (Centre::new(), open(database).await);
    centre.write(&events).await;
    centre.project(&store).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let second = open(&Database::Sqlite(elsewhere.path().join("b.db"))).await;
    centre.project(&second).await;
    let ids = |rows: &[Due]| {
        rows.iter()
            .map(|row| (row.event_id, row.body.clone()))
            .collect::<Vec<_>>()
    };
    let rows = drain(&store, &dispatch()).await;
    assert_eq!(ids(&rows), ids(&drain(&second, &dispatch()).await));
    // A journal whose name is lost is folded again: nothing is doubled, nothing is sent twice.
    centre.journal = None;
    std::fs::remove_file(centre.dir.path().join("ID")).unwrap();
    let (journal, _) = Journal::open(centre.dir.path(), JournalOptions::new("test")).unwrap();
    centre.journal = Some(journal);
    let before = store.records(None, 10).await.unwrap();
    centre.project(&store).await;
    assert_eq!(store.records(None, 10).await.unwrap(), before);
    assert_eq!(drain(&store, &dispatch()).await, Vec::new());
}

async fn call_that_is_not_taken_blocks_only_itself(database: &Database) {
    let (scripts, events) = busy_hour(3);
    let (centre, store) = (Centre::new(), open(database).await);
    centre.write(&events).await;
    centre.project(&store).await;
    let now = later();
    let first = store.outbox_due(&dispatch(), now, 50).await.unwrap();
    assert_eq!(first.len(), 3, "one of each call");
    let stuck = &first[0];
    let retry_at = now + Millis::from_secs(30);
    store
        .outbox_failed(stuck.id, Some(retry_at), "HTTP 500")
        .await
        .unwrap();
    let mut rounds = 0;
    loop {
        let due = store.outbox_due(&dispatch(), now, 50).await.unwrap();
        if due.is_empty() {
            break;
        }
        for row in due {
            assert_ne!(row.call, stuck.call);
            store.outbox_delivered(row.id, now).await.unwrap();
        }
        rounds += 1;
    }
    assert!(rounds > 10, "the other calls went all the way");
    assert_eq!(
        store.outbox_next_at(&dispatch()).await.unwrap(),
        Some(retry_at)
    );
    let again = store.outbox_due(&dispatch(), retry_at, 50).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(
        (again[0].event_id, again[0].attempts, &again[0].body),
        (stuck.event_id, 1, &stuck.body)
    );
    let others = store.outbox_due(&emr(), now, 50).await.unwrap();
    assert_eq!(
        others.len(),
        scripts.len(),
        "the other destination never waited"
    );
}

async fn given_up_delivery_is_listed_and_can_be_sent_again(database: &Database) {
    let script = one_call::abandoned(0, "13800138000");
    let (centre, store) = (Centre::new(), open(database).await);
    centre.write(&script.events).await;
    centre.project(&store).await;
    let now = later();
    let row = store
        .outbox_due(&dispatch(), now, 1)
        .await
        .unwrap()
        .remove(0);
    store.outbox_failed(row.id, None, "HTTP 410").await.unwrap();
    let dead = store.dead_letters(10).await.unwrap();
    assert_eq!(
        (&dead[0]["id"], &dead[0]["last_error"]),
        (&json!(row.id), &json!("HTTP 410"))
    );
    let next = store
        .outbox_due(&dispatch(), now, 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(next.sequence, 2, "the call's next revision goes out");
    assert!(store.send_again(row.id, now).await.unwrap());
    let again = store
        .outbox_due(&dispatch(), now, 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!((again.event_id, again.sequence), (row.event_id, 1));
    assert!(!store.send_again(9_999_999, now).await.unwrap());
    let listed = store.deliveries(Some(script.call), 100).await.unwrap();
    assert!(
        listed
            .iter()
            .all(|delivery| delivery["call"] == json!(script.call))
    );
    assert_eq!(
        listed.len(),
        store.deliveries(None, 100).await.unwrap().len()
    );
}

async fn number_has_a_history_and_playbacks_leave_a_trace(database: &Database) {
    let scripts: Vec<_> = (0..5)
        .map(|n| one_call::answered(n, "13800138000"))
        .collect();
    let other = one_call::answered(9, "13900139000");
    let (centre, store) = (Centre::new(), open(database).await);
    for script in scripts.iter().chain([&other]) {
        centre.write(&script.events).await;
    }
    centre.project(&store).await;
    let since = scripts[1].events[0].at;
    let history = store
        .history("+8613800138000", scripts[4].call, since, 2)
        .await
        .unwrap();
    assert_eq!(history.count, 3);
    let calls: Vec<_> = history
        .last_calls
        .iter()
        .map(|call| call["call_id"].clone())
        .collect();
    assert_eq!(calls, vec![json!(scripts[3].call), json!(scripts[2].call)]);
    assert_eq!(history.last_calls[0]["seat"], json!("802"));
    assert_eq!(history.last_calls[0]["incident_id"], json!("INC-7"));
    assert_eq!(
        store.records(Some("+8613900139000"), 10).await.unwrap(),
        vec![folded(&other)]
    );

    let call = other.call.to_string();
    store
        .audit(later(), "seat 801", "recording.played", &call)
        .await
        .unwrap();
    store
        .audit(later(), "admin", "delivery.sent_again", "7")
        .await
        .unwrap();
    let entries = store.audit_entries(Some(&call), 10).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (entries[0].actor.as_str(), entries[0].action.as_str()),
        ("seat 801", "recording.played")
    );
    assert_eq!(store.audit_entries(None, 10).await.unwrap().len(), 2);
}

async fn delivered_rows_go_in_time_and_the_sequence_goes_on(database: &Database) {
    let script = one_call::abandoned(0, "13800138000");
    let (last, earlier) = script.events.split_last().unwrap();
    let (centre, store) = (Centre::new(), open(database).await);
    centre.write(earlier).await;
    centre.project(&store).await;
    let rows = drain(&store, &dispatch()).await;
    let dropped = store
        .drop_delivered(later() + Millis::from_secs(1))
        .await
        .unwrap();
    assert_eq!(
        dropped,
        rows.len() as u64 - 1,
        "the last one keeps the sequence"
    );
    centre.write(std::slice::from_ref(last)).await;
    centre.project(&store).await;
    let next = drain(&store, &dispatch()).await;
    assert_eq!(
        next.iter().map(|row| row.sequence).collect::<Vec<_>>(),
        vec![rows.len() as u64 + 1]
    );
}

async fn name_with_a_nul_stops_no_record(database: &Database) {
    let script = one_call::abandoned(0, "1380\u{0}138000");
    let (centre, store) = (Centre::new(), open(database).await);
    centre.write(&script.events).await;
    centre.project(&store).await;
    let stored = store.record(script.call).await.unwrap().unwrap();
    assert_eq!(stored["caller"]["number"]["raw"], json!("1380\u{0}138000"));
}

#[tokio::test]
async fn database_that_is_down_at_start_and_killed_later_gets_everything_once_when_it_is_back() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let (scripts, events) = busy_hour(6);
    cluster.kill();
    let store = Store::open(&cluster.database()).await.unwrap();
    let centre = Centre::new();
    let projector = centre.projector(&store);
    let mut status = projector.status();
    let task = tokio::spawn(projector.run());
    let (first, second) = events.split_at(events.len() / 2);
    centre.write(first).await;
    status
        .wait_for(|status| status.failing_since.is_some())
        .await
        .unwrap();
    cluster.resume();
    let all = centre.journal().reader().last();
    status
        .wait_for(|status| status.cursor >= all)
        .await
        .unwrap();
    cluster.kill();
    centre.write(second).await;
    status
        .wait_for(|status| status.last_error.is_some())
        .await
        .unwrap();
    cluster.resume();
    let all = centre.journal().reader().last();
    status
        .wait_for(|status| status.cursor >= all)
        .await
        .unwrap();
    assert_eq!(status.borrow().failing_since, None);
    for script in &scripts {
        assert_eq!(
            store.record(script.call).await.unwrap().unwrap(),
            folded(script)
        );
    }
    let rows = drain(&store, &dispatch()).await;
    assert_in_order(&rows, true);
    task.abort();
}

#[tokio::test]
async fn projector_takes_in_all_of_the_journal_before_it_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&Database::Sqlite(dir.path().join("records.db"))).await;
    let mut centre = Centre::new();
    let task = tokio::spawn(centre.projector(&store).run());
    let script = one_call::answered(0, "13800138000");
    centre.write(&script.events).await;
    centre.journal = None;
    tokio::time::timeout(Duration::from_secs(10), task)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        store.record(script.call).await.unwrap().unwrap(),
        folded(&script)
    );
}
