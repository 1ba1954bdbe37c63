//! The journal: nothing is lost, everything is in order, damage has a place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use firstring::store::journal::{
    Entry, Fault, Faults, Journal, JournalError, JournalOptions, Recovered, replay,
};
use firstring::switch::{Event, Input, InputKind};
use firstring::time::Timestamp;

use crate::support::one_call;

fn options() -> JournalOptions {
    JournalOptions::new("test-1")
}

fn open(dir: &Path) -> (Journal, Recovered) {
    Journal::open(dir, options()).unwrap()
}

fn call(n: u64) -> Vec<Entry> {
    one_call::entries(&one_call::answered(n, "13800138000").events)
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "db"))
        .collect();
    found.sort_by_key(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        name.rsplit_once('-').unwrap().1.parse::<u32>().unwrap()
    });
    found
}

fn inputs(entries: &[Entry]) -> Vec<Input> {
    entries.iter().map(|entry| entry.input.clone()).collect()
}

fn replayed(path: &Path) -> Result<Vec<Entry>, JournalError> {
    replay(path)?
        .map(|entry| {
            entry.map(|e| Entry {
                input: e.input,
                events: e.events,
            })
        })
        .collect()
}

async fn all_events(journal: &Journal) -> Vec<(u64, Event)> {
    let reader = journal.reader();
    let (mut cursor, mut events) = (0, Vec::new());
    loop {
        let page = reader.events_after(cursor, 7).await.unwrap();
        let Some((last, _)) = page.last() else {
            return events;
        };
        cursor = *last;
        events.extend(page);
    }
}

/// Poll until `done`, at most 10 s.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "waited 10 s for: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn committed_entries_come_back_in_order_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let entries = call(0);
    {
        let (journal, recovered) = open(dir.path());
        assert_eq!(recovered, Recovered::default());
        let ticket = journal.append(entries.clone());
        assert_eq!(ticket.seq(), entries.len() as u64);
        ticket.committed().await;
        assert_eq!(journal.status().committed_seq, entries.len() as u64);
        assert_eq!(journal.status().spooled, 0);
    }
    let (journal, recovered) = open(dir.path());
    assert_eq!(recovered.tail, inputs(&entries));
    assert_eq!(recovered.last_seq, entries.len() as u64);
    assert_eq!(recovered.truncated, None);
    assert_eq!(replayed(dir.path()).unwrap(), entries);
    let events: Vec<_> = all_events(&journal).await;
    let expected: Vec<_> = entries.iter().flat_map(|e| e.events.clone()).collect();
    assert_eq!(
        events.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(),
        (1..=expected.len() as u64).collect::<Vec<_>>()
    );
    assert_eq!(
        events.into_iter().map(|(_, e)| e).collect::<Vec<_>>(),
        expected
    );
}

#[tokio::test]
async fn recovery_begins_at_the_newest_snapshot_and_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second, third) = (call(0), call(1), call(2));
    {
        let (journal, _) = open(dir.path());
        journal.snapshot(&serde_json::json!({ "state": 0 }));
        journal.append(first.clone());
        journal.snapshot(&serde_json::json!({ "state": 1 }));
        journal.append(second.clone());
        journal.flush().await;
    }
    let seq = (first.len() + second.len()) as u64;
    {
        let (journal, recovered) = open(dir.path());
        let snapshot = recovered.snapshot.unwrap();
        assert_eq!(snapshot.seq, first.len() as u64);
        assert_eq!(snapshot.build, "test-1");
        assert_eq!(snapshot.value, serde_json::json!({ "state": 1 }));
        assert_eq!(recovered.tail, inputs(&second));
        assert_eq!(recovered.last_seq, seq);
        // A snapshot at each start, before any entry of the new process.
        journal.snapshot(&serde_json::json!({ "state": 2 }));
        assert_eq!(
            journal.append(third.clone()).seq(),
            seq + third.len() as u64
        );
        journal.flush().await;
        let numbers: Vec<_> = all_events(&journal)
            .await
            .into_iter()
            .map(|(n, _)| n)
            .collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    }
    let (_journal, recovered) = open(dir.path());
    assert_eq!(recovered.snapshot.unwrap().seq, seq);
    assert_eq!(recovered.tail, inputs(&third));
    assert_eq!(
        segments(dir.path()).len(),
        2,
        "each process writes a segment of its own"
    );
    assert_eq!(
        replayed(dir.path()).unwrap(),
        [first, second, third].concat()
    );
}

#[tokio::test]
async fn segment_of_an_earlier_process_is_never_changed() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (journal, _) = open(dir.path());
        journal.append(call(0));
        journal.flush().await;
    }
    let old = segments(dir.path()).remove(0);
    let before = std::fs::read(&old).unwrap();
    {
        let (journal, _) = open(dir.path());
        journal.append(call(1));
        journal.flush().await;
        all_events(&journal).await;
    }
    assert_eq!(replayed(dir.path()).unwrap().len(), 2 * call(0).len());
    assert_eq!(std::fs::read(&old).unwrap(), before);
    assert!(
        !old.with_extension("db-wal").exists(),
        "the log was folded in at the end"
    );
}

#[tokio::test]
async fn full_segment_is_sealed_and_the_next_one_follows_without_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions {
        segment_bytes_max: 64 * 1024,
        ..options()
    };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    let mut expected = Vec::new();
    for n in 0..12 {
        expected.extend(call(n));
        journal.append(call(n));
        journal.flush().await;
    }
    let events = all_events(&journal).await;
    assert_eq!(events.len(), expected.len());
    drop(journal);
    let files = segments(dir.path());
    assert!(files.len() >= 3, "{files:?}");
    for file in &files {
        assert!(
            file.with_extension("db.seal").exists(),
            "{} is sealed",
            file.display()
        );
    }
    assert_eq!(replayed(dir.path()).unwrap(), expected);
}

#[tokio::test]
async fn second_process_is_kept_away_from_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (_journal, _) = open(dir.path());
    let error = Journal::open(dir.path(), options()).unwrap_err();
    assert!(matches!(error, JournalError::Locked { .. }), "{error}");
}

async fn written_twice(dir: &Path) -> Vec<Entry> {
    let (journal, _) = open(dir);
    let entries: Vec<_> = (0..4).flat_map(call).collect();
    journal.snapshot(&serde_json::json!({ "state": 0 }));
    journal.append(entries.clone());
    journal.flush().await;
    entries
}

#[tokio::test]
async fn any_single_flipped_byte_of_a_closed_segment_is_reported_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let entries = written_twice(dir.path()).await;
    let file = segments(dir.path()).remove(0);
    let sound = std::fs::read(&file).unwrap();
    assert_eq!(replayed(&file).unwrap(), entries);
    let step = sound.len() / 97;
    for at in (0..sound.len()).step_by(step) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&file, &bytes).unwrap();
        let error = replayed(&file).expect_err("a flipped byte is found");
        let text = error.to_string();
        let block = at / 16_384 * 16_384;
        assert!(text.contains(file.to_str().unwrap()), "{text}");
        assert!(
            text.contains(&format!("bytes {block}..")),
            "byte {at}: {text}"
        );
    }
}

#[tokio::test]
async fn flipped_byte_in_an_entry_of_an_unsealed_segment_names_that_entry() {
    let dir = tempfile::tempdir().unwrap();
    written_twice(dir.path()).await;
    let file = segments(dir.path()).remove(0);
    std::fs::remove_file(file.with_extension("db.seal")).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    // The fortieth Event's text is unlike all others: its id.
    let entries = replayed(&file).unwrap();
    let id = entries[39].events[0].id.to_string();
    let at = bytes
        .windows(id.len())
        .position(|w| w == id.as_bytes())
        .unwrap();
    bytes[at + 3] ^= 0x01;
    std::fs::write(&file, &bytes).unwrap();
    let error = replayed(&file).unwrap_err();
    assert!(
        matches!(&error, JournalError::Damaged { seq: 40, path, .. } if *path == file),
        "{error}"
    );
    let (_, recovered) = open(dir.path());
    assert_eq!(
        recovered.tail.len(),
        39,
        "recovery keeps what stands before the damage"
    );
    assert!(recovered.truncated.unwrap().contains("entry 40"));
    assert!(recovered.last_seq > 1_000_000, "no number is given twice");
}

#[tokio::test]
async fn flipped_byte_in_the_log_of_a_killed_process_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    for n in 0..3 {
        journal.append(call(n));
        journal.flush().await;
    }
    // What lies on the disk now is what a kill -9 leaves.
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    drop(journal);
    let (after_kill, recovered) = open(copy.path());
    assert_eq!(recovered.tail.len(), 3 * call(0).len());
    assert_eq!(recovered.truncated, None);
    drop(after_kill);
    assert!(replayed(copy.path()).is_ok());
    let log = segments(copy.path()).remove(0).with_extension("db-wal");
    let mut bytes = std::fs::read(&log).unwrap();
    // Behind the last frame the log's file has room that was never used.
    let middle = bytes.iter().rposition(|byte| *byte != 0).unwrap() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(&log, &bytes).unwrap();
    let error = replayed(copy.path()).unwrap_err().to_string();
    assert!(error.contains("of the log do not check"), "{error}");
}

#[tokio::test]
async fn log_is_written_over_and_stays_as_long_as_it_is_whatever_follows() {
    const COMMITS: u64 = 800;
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let (mut longest, mut whole) = (0, 0);
    for n in 0..COMMITS {
        journal.append(call(n));
        journal.flush().await;
        let segment = segments(dir.path()).remove(0);
        let log = std::fs::metadata(segment.with_extension("db-wal")).unwrap();
        longest = longest.max(log.len());
        if n == COMMITS / 4 {
            whole = longest;
        }
    }
    assert!(whole > 12 << 20, "room was made ahead: {whole}");
    // 800 commits of 8 pages and more wrote over 25 MiB.
    assert!(longest < 20 << 20, "{whole}, then {longest}");
    let expected: Vec<Entry> = (0..COMMITS).flat_map(call).collect();
    assert_eq!(inputs(&replayed(dir.path()).unwrap()), inputs(&expected));
}

async fn survives(fault: Fault) {
    let dir = tempfile::tempdir().unwrap();
    let options = options();
    let faults = options.faults.clone();
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    journal.append(call(0));
    journal.flush().await;
    faults.set(fault);
    let started = std::time::Instant::now();
    let mut expected = call(0);
    for n in 1..40 {
        expected.extend(call(n));
        drop(journal.append(call(n)));
    }
    let appending = started.elapsed();
    assert!(
        appending < Duration::from_secs(1),
        "append never waits for the disk: {appending:?}"
    );
    let ticket = journal.append(call(40));
    expected.extend(call(40));
    assert!(
        !ticket
            .clone()
            .committed_within(Duration::from_millis(100))
            .await
    );
    until("the status tells that the journal is late", || {
        journal.status().late_since.is_some()
    })
    .await;
    if fault != Fault::Stall {
        until("the status tells why", || {
            journal.status().last_error.is_some()
        })
        .await;
    }
    assert!(journal.status().spooled > 100);
    faults.set(Fault::None);
    ticket.committed().await;
    let status = journal.status();
    assert_eq!(
        (status.spooled, status.lost, status.late_since),
        (0, 0, None)
    );
    assert_eq!(status.last_error, None);
    let events = all_events(&journal).await;
    assert_eq!(events.len(), expected.len());
    drop(journal);
    assert_eq!(
        replayed(dir.path()).unwrap(),
        expected,
        "in order, each once"
    );
}

#[tokio::test]
async fn failing_disk_keeps_entries_in_memory_and_writes_them_in_order_after_relief() {
    survives(Fault::Fail).await;
}

#[tokio::test]
async fn stalled_disk_keeps_entries_in_memory_and_writes_them_in_order_after_relief() {
    survives(Fault::Stall).await;
}

#[tokio::test]
async fn full_disk_keeps_entries_in_memory_and_writes_them_in_order_after_relief() {
    survives(Fault::Full).await;
}

#[tokio::test]
async fn fault_in_a_file_stalls_the_journal_of_another_process_until_it_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let fault = dir.path().join("fault");
    let options = JournalOptions {
        faults: Faults::from_file(fault.clone()),
        ..options()
    };
    let (journal, _) = Journal::open(&dir.path().join("journal"), options).unwrap();
    journal.append(call(0)).committed().await;
    std::fs::write(&fault, "stall\n").unwrap();
    let ticket = journal.append(call(1));
    assert!(
        !ticket
            .clone()
            .committed_within(Duration::from_millis(120))
            .await
    );
    std::fs::remove_file(&fault).unwrap();
    ticket.committed().await;
}

#[tokio::test]
async fn spool_that_is_full_drops_the_newest_entries_counts_them_and_the_journal_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions {
        spool_entries_max: 10,
        ..options()
    };
    let faults = options.faults.clone();
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    faults.set(Fault::Stall);
    let tick = |at: i64| Entry {
        input: Input {
            at: Timestamp::from_micros(at),
            kind: InputKind::Tick,
        },
        events: Vec::new(),
    };
    journal.append((0..25).map(tick).collect());
    assert_eq!((journal.status().spooled, journal.status().lost), (10, 15));
    faults.set(Fault::None);
    journal.flush().await;
    journal.append(vec![tick(100)]);
    journal.flush().await;
    drop(journal);
    let mut items = replay(dir.path()).unwrap().collect::<Vec<_>>();
    assert_eq!(items.len(), 12);
    let error = items.remove(10).unwrap_err();
    assert!(
        matches!(
            error,
            JournalError::Lost {
                seq: 11,
                entries: 15,
                ..
            }
        ),
        "{error}"
    );
    let (_, recovered) = open(dir.path());
    assert!(
        recovered
            .truncated
            .unwrap()
            .contains("15 entries were dropped")
    );
    assert_eq!(recovered.tail.len(), 11);
}

#[tokio::test]
async fn reader_wakes_at_a_commit_and_ends_with_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let reader = journal.reader();
    let waiting = tokio::spawn(async move {
        let woken = reader.wait_after(0).await;
        let events = reader.events_after(0, 100).await.unwrap();
        (woken, events.len(), reader.wait_after(1_000).await)
    });
    journal.append(call(0));
    journal.flush().await;
    drop(journal);
    assert_eq!(waiting.await.unwrap(), (true, call(0).len(), false));
}

/// Not a test of its own: the process that the next test kills. Journals for ever and prints what is committed.
#[tokio::test]
async fn child_that_is_killed() {
    let Some(dir) = std::env::var_os("FIRSTRING_TEST_KILLED_JOURNAL") else {
        return;
    };
    let (journal, recovered) = open(Path::new(&dir));
    println!("recovered {}", recovered.last_seq);
    for n in 0.. {
        let ticket = journal.append(call(n));
        if n % 7 == 0 {
            journal.snapshot(&serde_json::json!({ "calls": n }));
        }
        let seq = ticket.seq();
        ticket.committed().await;
        println!("committed {seq}");
    }
}

#[test]
fn kill_9_at_any_moment_loses_no_committed_entry() {
    use std::io::{BufRead as _, BufReader};
    let dir = tempfile::tempdir().unwrap();
    let mut committed = 0;
    for round in 0..8_u64 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::journal::child_that_is_killed",
                "--nocapture",
            ])
            .env("FIRSTRING_TEST_KILLED_JOURNAL", dir.path())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        let number = |line: &str, word: &str| {
            line.split_once(word)
                .map(|(_, number)| number.trim().parse::<u64>().unwrap())
        };
        while let Some(Ok(line)) = lines.next() {
            if let Some(recovered) = number(&line, "recovered ") {
                assert!(
                    recovered >= committed,
                    "round {round}: {recovered} of {committed}"
                );
            }
            if let Some(seq) = number(&line, "committed ") {
                committed = seq;
                seen += 1;
            }
            if seen == 3 + round {
                std::thread::sleep(Duration::from_micros(900 * round));
                child.kill().unwrap(); // SIGKILL
                break;
            }
        }
        // What it had still printed counts, too.
        for line in lines.map_while(Result::ok) {
            committed = number(&line, "committed ").unwrap_or(committed);
        }
        child.wait().unwrap();
    }
    let (journal, recovered) = open(dir.path());
    assert!(recovered.last_seq >= committed);
    assert_eq!(recovered.truncated, None);
    drop(journal);
    let entries = replayed(dir.path()).unwrap();
    assert_eq!(entries.len() as u64, recovered.last_seq);
    assert_eq!(segments(dir.path()).len(), 8, "each process wrote its own");
}

#[tokio::test]
async fn disk_that_fails_and_recovers_at_random_leaves_each_entry_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut expected = Vec::new();
    let mut numbered = 0;
    for _process in 0..6 {
        let options = JournalOptions {
            segment_bytes_max: 96 * 1024,
            ..options()
        };
        let faults = options.faults.clone();
        let (journal, recovered) = Journal::open(dir.path(), options).unwrap();
        assert_eq!(recovered.truncated, None);
        assert_eq!(recovered.last_seq, expected.len() as u64);
        for _step in 0..60 {
            let one_of = [
                Fault::None,
                Fault::Fail,
                Fault::Full,
                Fault::Stall,
                Fault::None,
            ];
            faults.set(one_of[usize::try_from(next(5)).unwrap()]);
            let entries = call(numbered);
            numbered += 1;
            let some = usize::try_from(next(entries.len() as u64)).unwrap();
            expected.extend_from_slice(&entries[..some]);
            journal.append(entries[..some].to_vec());
            if next(4) == 0 {
                journal.snapshot(&serde_json::json!({ "entries": expected.len() }));
            }
            tokio::time::sleep(Duration::from_millis(next(8))).await;
        }
        faults.set(Fault::None);
        journal.snapshot(&serde_json::json!({ "entries": expected.len() }));
        journal.flush().await;
    }
    let (journal, recovered) = open(dir.path());
    let snapshot = recovered.snapshot.unwrap();
    assert_eq!(
        snapshot.value,
        serde_json::json!({ "entries": snapshot.seq })
    );
    assert_eq!(
        recovered.tail.len() as u64,
        recovered.last_seq - snapshot.seq
    );
    let events = all_events(&journal).await;
    drop(journal);
    assert_eq!(replayed(dir.path()).unwrap(), expected);
    assert_eq!(events.len(), expected.len());
}
