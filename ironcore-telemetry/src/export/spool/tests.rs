//! The spool on real files. Its gauges belong to the process, so these tests take turns, with a signal of their own.

use super::super::batch::Open;
use super::disk::Disk;
use super::*;
use crate::series::Reading;
use opentelemetry::InstrumentationScope;
use rand::Rng;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicU64;
use std::time::Instant;

static TURN: Mutex<()> = Mutex::new(());
const PATIENCE: Duration = Duration::from_secs(60);
/// How many requests a process writes that is to be killed.
const MOST_WRITTEN: u64 = 5_000;
/// Names the folder to a test that runs in a process of its own.
const IN_CHILD: &str = "TESTS_SPOOL";

/// A folder that is deleted at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let program = std::env::current_exe().unwrap();
        let name = format!("spool-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = program.parent().unwrap().join("spools").join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The folder of the spool, which the spool makes.
    fn folder(&self) -> PathBuf {
        self.0.join("spool")
    }

    /// All segments below.
    fn segments(&self) -> Vec<PathBuf> {
        segments(&self.folder())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(folder.join("metrics")).into_iter().flatten();
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    let files = files.map(|file| file.unwrap().path());
    let mut segments: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "spool")).collect();
    segments.sort();
    segments
}

fn unstarted(folder: &Path, bytes: u64) -> Spool {
    let settings = config::Spool { folder: folder.to_owned(), bytes };
    Spool::new(&settings, Signal::Metrics, Arc::new(Notify::new())).unwrap()
}

fn spool_of(folder: &Path, bytes: u64) -> Spool {
    let mut spool = unstarted(folder, bytes);
    spool.start();
    spool
}

fn spool(scratch: &Scratch) -> Spool {
    spool_of(&scratch.folder(), 1 << 30)
}

/// A request with two scopes, whose items hold the number and so many bytes more.
fn request(number: u64, size: usize) -> Vec<Bytes> {
    let mut open = Open::default();
    for scope in ["ours", "theirs"] {
        let mut item = Vec::new();
        crate::export::wire::message(&mut item, 2, |to| {
            crate::export::wire::fixed64(to, 1, number + 1);
            crate::export::wire::bytes(to, 2, &vec![b'x'; size]);
        });
        open.push(&InstrumentationScope::builder(scope).build(), &item, None, Some(number));
    }
    open.cut(number, &Bytes::from_static(&[10, 2, 8, 7])).request()
}

fn append(spool: &Spool, numbers: impl IntoIterator<Item = u64>) -> Vec<Arc<Place>> {
    numbers.into_iter().map(|number| spool.append(request(number, 20), 2)).collect()
}

fn written(places: &[Arc<Place>]) -> bool {
    places.iter().all(|place| place.is_written())
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ends a spool as a kill would, but for the marks, which are waited for.
fn end(spool: Spool) {
    let shared = Arc::clone(&spool.shared);
    spool.end();
    until("the thread ends", || shared.state().has_ended);
}

/// So many requests that earlier processes have left.
fn recovered(spool: &Spool, count: usize) -> Vec<Batch> {
    let mut batches = Vec::new();
    let start = Instant::now();
    while batches.len() < count {
        batches.extend(spool.next_recovered());
        assert!(start.elapsed() < PATIENCE, "{} of {count}", batches.len());
        std::thread::sleep(Duration::from_millis(1));
    }
    batches
}

/// Everything that is left in a folder, read once more.
fn all_left(folder: &Path) -> Vec<Bytes> {
    let mut disk = Disk::open(&folder.join("metrics"), 1 << 30).unwrap();
    std::iter::from_fn(|| disk.read()).filter_map(Result::ok).map(|(request, ..)| request).collect()
}

fn message(number: u64) -> Bytes {
    request(number, 20).concat().into()
}

fn messages(numbers: impl IntoIterator<Item = u64>) -> BTreeSet<Bytes> {
    numbers.into_iter().map(message).collect()
}

fn gauge(metric: &str, label: &str) -> i64 {
    let families = series::families();
    let series = families.iter().filter(|family| family.metric.name == metric).flat_map(|family| &family.series);
    let values = series.filter(|series| series.labels[0].1 == label).map(|series| match series.reading {
        Reading::Gauge(value) => value,
        _ => 0,
    });
    values.sum()
}

fn at_risk() -> i64 {
    gauge("telemetry_at_risk", "metrics")
}

fn is_degraded() -> bool {
    gauge("telemetry_degraded", "spool") != 0
}

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn what_a_process_leaves_the_next_one_delivers_and_what_has_left_it_does_not() {
    let (_turn, scratch) = (turn(), Scratch::new());
    let first = spool(&scratch);
    let mut places = append(&first, 0..10);
    until("all are written", || written(&places));
    drop(places.drain(3..6));
    end(first);

    let second = spool(&scratch);
    let batches = recovered(&second, 7);
    let requests: BTreeSet<_> = batches.iter().map(|batch| Bytes::from(batch.request().concat())).collect();
    assert_eq!(requests, messages([0, 1, 2, 6, 7, 8, 9]));
    assert!(batches.iter().all(|batch| batch.is_recovered() && batch.count() == 2));
    drop(batches);
    until("no segment is left", || scratch.segments().is_empty());
    end(second);

    let third = spool(&scratch);
    until("the folder is open", || !third.shared.state().has_ended && scratch.folder().join("metrics/0/lock").exists());
    assert!(third.next_recovered().is_none());
    end(third);
}

#[test]
fn a_recovered_batch_is_split_like_any_other_and_leaves_with_its_last_part() {
    let (_turn, scratch) = (turn(), Scratch::new());
    let first = spool(&scratch);
    let places = append(&first, [1]);
    until("it is written", || written(&places));
    end(first);
    let second = spool(&scratch);
    let (one, other) = recovered(&second, 1).remove(0).split().unwrap();
    assert_eq!((one.count(), other.count()), (1, 1));
    drop(one);
    assert_eq!(scratch.segments().len(), 1);
    drop(other);
    until("no segment is left", || scratch.segments().is_empty());
    end(second);
}

#[test]
fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let (_turn, scratch) = (turn(), Scratch::new());
    let spool = spool(&scratch);
    let places = append(&spool, [1]);
    until("it is written", || written(&places));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in ["", "metrics", "metrics/0"] {
        assert_eq!(mode(&scratch.folder().join(folder)), 0o700, "{folder}");
    }
    assert_eq!(mode(&scratch.folder().join("metrics/0/lock")), 0o600);
    assert_eq!(mode(&scratch.segments()[0]), 0o600);
    end(spool);
}

/// The bytes of a segment with five requests, of which the third has left.
fn small_segment(scratch: &Scratch) -> (PathBuf, Vec<u8>) {
    let spool = spool(scratch);
    let mut places = append(&spool, 0..5);
    until("all are written", || written(&places));
    drop(places.remove(2));
    end(spool);
    let [path] = scratch.segments().try_into().unwrap();
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

#[test]
fn a_segment_that_is_cut_anywhere_gives_every_request_before_the_cut() {
    let (_turn, scratch) = (turn(), Scratch::new());
    let (path, bytes) = small_segment(&scratch);
    let record = bytes.len() / 5;
    assert_eq!(bytes.len(), 5 * record);
    for length in 0..=bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let whole = u64::try_from(length / record).unwrap();
        let expected: Vec<_> = (0..whole).filter(|number| *number != 2).map(message).collect();
        assert_eq!(all_left(&scratch.folder()), expected, "{length}");
    }
}

#[test]
fn a_damaged_byte_anywhere_gives_every_request_before_it_and_never_another_one() {
    let (_turn, scratch) = (turn(), Scratch::new());
    let (path, bytes) = small_segment(&scratch);
    let record = bytes.len() / 5;
    for at in 0..bytes.len() {
        for mask in [1 << (at % 8), 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= mask;
            fs::write(&path, &damaged).unwrap();
            let left = all_left(&scratch.folder());
            let hit = at / record;
            let expected: Vec<_> = match at % record {
                // The mark alone: at worst what has left is delivered once more.
                0 => (0..5).filter(|number| *number != 2 || hit == 2).map(message).collect(),
                _ => (0..hit as u64).filter(|number| *number != 2).map(message).collect(),
            };
            assert_eq!(left, expected, "byte {at}, mask {mask}");
        }
    }
}

#[test]
fn any_bytes_are_read_without_a_panic_and_a_strangers_file_is_left_alone() {
    let (_turn, scratch) = (turn(), Scratch::new());
    let (path, _) = small_segment(&scratch);
    let stranger = path.with_file_name("notes.txt");
    fs::write(&stranger, "mine").unwrap();
    let mut random = rand::rng();
    for length in 0..200 {
        let mut bytes = vec![0_u8; length];
        random.fill(bytes.as_mut_slice());
        if length % 2 == 0 && length > 8 {
            // A head of the right form, whose length is large.
            bytes[1..4].copy_from_slice(b"IS1");
        }
        fs::write(&path, &bytes).unwrap();
        assert!(all_left(&scratch.folder()).is_empty());
    }
    fs::write(&path, [0; 4096]).unwrap();
    let spool = spool(&scratch);
    until("the damaged segment is deleted", || scratch.segments().is_empty());
    end(spool);
    assert_eq!(fs::read_to_string(stranger).unwrap(), "mine");
}

#[test]
fn the_oldest_stay_when_it_is_full_and_the_newest_wait_for_room() {
    let (_turn, scratch) = (turn(), Scratch::new());
    let record = u64::try_from(message(1).len() + 12).unwrap();
    let spool = spool_of(&scratch.folder(), 3 * record);
    let before = at_risk();
    spool.shared.at_risk.add(10);
    let mut places = append(&spool, 0..5);
    until("three are written", || written(&places[..3]));
    until("it is degraded", is_degraded);
    assert!(places[3..].iter().all(|place| !place.is_written()));
    assert_eq!(at_risk() - before, 4);
    drop(places.drain(..3));
    until("the others are written", || written(&places));
    until("it is not degraded", || !is_degraded());
    assert_eq!(at_risk() - before, 0);
    // One that is larger than the whole spool is in nobody's way.
    spool.shared.at_risk.add(4);
    places.push(spool.append(request(7, 2_000), 2));
    places.remove(0);
    places.extend(append(&spool, [8]));
    until("the small one is written", || places[2].is_written());
    assert!(!places[1].is_written());
    assert_eq!(at_risk() - before, 2);
    places.clear();
    assert_eq!(at_risk() - before, 0);
    end(spool);
}

#[test]
fn what_has_left_before_it_was_written_is_never_written() {
    let (_turn, scratch) = (turn(), Scratch::new());
    let mut spool = unstarted(&scratch.folder(), 1 << 30);
    let before = at_risk();
    spool.shared.at_risk.add(20);
    let mut places = append(&spool, 0..10);
    places.truncate(1);
    spool.start();
    until("the one is written", || written(&places));
    assert_eq!(at_risk() - before, 0);
    end(spool);
    assert_eq!(all_left(&scratch.folder()), [message(0)]);
}

#[test]
fn segments_are_deleted_when_all_of_them_has_left_and_what_is_left_keeps_its_own() {
    let (_turn, scratch) = (turn(), Scratch::new());
    let spool = spool(&scratch);
    let mut places: Vec<_> = (0..60).map(|number| spool.append(request(number, 200_000), 2)).collect();
    until("all are written", || written(&places));
    let all = scratch.segments().len();
    assert!(all > 2, "{all}");
    places.drain(1..);
    until("the others are deleted", || scratch.segments().len() == 1);
    end(spool);
    assert_eq!(all_left(&scratch.folder()), [Bytes::from(request(0, 200_000).concat())]);
}

#[test]
fn recovered_requests_are_in_memory_a_few_at_a_time() {
    let (_turn, scratch) = (turn(), Scratch::new());
    let first = spool(&scratch);
    let places: Vec<_> = (0..80).map(|number| first.append(request(number, 200_000), 2)).collect();
    until("all are written", || written(&places));
    end(first);
    drop(places);
    let second = spool(&scratch);
    let mut held = recovered(&second, 20);
    until("reading stops", || second.shared.state().recovered_bytes >= RECOVERED_BYTES);
    let bytes = second.shared.state().recovered_bytes;
    assert!(bytes < RECOVERED_BYTES + 500_000, "{bytes}");
    let mut count = held.len();
    while count < 80 {
        held.clear();
        held = recovered(&second, 1);
        count += held.len();
    }
    drop(held);
    until("all have left", || scratch.segments().is_empty());
    end(second);
}

#[test]
fn two_processes_have_a_folder_each_and_the_next_one_takes_over_what_nobody_has() {
    let (_turn, scratch) = (turn(), Scratch::new());
    let (first, second) = (spool(&scratch), spool(&scratch));
    let (ours, theirs) = (append(&first, 0..3), append(&second, 3..6));
    until("all are written", || written(&ours) && written(&theirs));
    assert_eq!(scratch.segments().len(), 2);
    end(first);
    let third = spool(&scratch);
    let batches = recovered(&third, 3);
    let requests: BTreeSet<_> = batches.iter().map(|batch| Bytes::from(batch.request().concat())).collect();
    assert_eq!(requests, messages(0..3));
    end(second);
    end(third);
    drop(batches);
    let fourth = spool(&scratch);
    let batches = recovered(&fourth, 6);
    let requests: BTreeSet<_> = batches.iter().map(|batch| Bytes::from(batch.request().concat())).collect();
    assert_eq!(requests, messages(0..6));
    drop(batches);
    until("all have left", || scratch.segments().is_empty());
    end(fourth);
}

#[test]
fn a_folder_that_cannot_be_made_costs_only_the_safety_until_it_can() {
    let (_turn, scratch) = (turn(), Scratch::new());
    fs::write(scratch.folder(), "a file in its place").unwrap();
    let before = at_risk();
    let spool = spool(&scratch);
    spool.shared.at_risk.add(4);
    let places = append(&spool, 0..2);
    until("it is degraded", is_degraded);
    assert!(!written(&places));
    assert_eq!(at_risk() - before, 4);
    fs::remove_file(scratch.folder()).unwrap();
    until("both are written", || written(&places));
    until("it is not degraded", || !is_degraded());
    assert_eq!(at_risk() - before, 0);
    end(spool);
}

#[test]
fn a_folder_that_vanishes_is_made_again_with_everything_that_was_in_it() {
    let (_turn, scratch) = (turn(), Scratch::new());
    let spool = spool(&scratch);
    let mut places = append(&spool, 0..4);
    until("all are written", || written(&places));
    fs::remove_dir_all(scratch.folder()).unwrap();
    until("it is there again", || !scratch.segments().is_empty());
    until("all are written again", || written(&places));
    // One file of several alone.
    fs::remove_file(&scratch.segments()[0]).unwrap();
    until("it is there again", || !scratch.segments().is_empty());
    places.extend(append(&spool, 4..6));
    until("all are written again", || written(&places));
    end(spool);
    assert_eq!(all_left(&scratch.folder()).into_iter().collect::<BTreeSet<_>>(), messages(0..6));
}

#[test]
fn a_folder_of_another_user_is_not_used() {
    use std::os::unix::fs::chown;
    let (_turn, scratch) = (turn(), Scratch::new());
    let theirs = scratch.folder().join("metrics/0");
    fs::create_dir_all(&theirs).unwrap();
    if chown(&theirs, Some(12_345), None).is_err() {
        eprintln!("skipped: only root can give a folder away");
        return;
    }
    let spool = spool(&scratch);
    let places = append(&spool, [1]);
    until("it is written", || written(&places));
    assert!(scratch.segments()[0].starts_with(scratch.folder().join("metrics/1")));
    end(spool);
}

/// This test binary once more, with one test, on a folder.
fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = format!("export::spool::tests::{test}");
    command.args([test.as_str(), "--exact", "--nocapture", "--quiet", "--test-threads=1"]).env(IN_CHILD, folder);
    command
}

#[test]
fn whatever_was_written_before_a_kill_is_delivered() {
    if let Some(folder) = std::env::var_os(IN_CHILD) {
        return write_until_killed(Path::new(&folder));
    }
    let _turn = turn();
    let scratch = Scratch::new();
    let mut random = rand::rng();
    let known = messages(0..MOST_WRITTEN);
    let rounds = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(10);
    for round in 0..rounds {
        let _ = fs::remove_dir_all(scratch.folder());
        let test = "whatever_was_written_before_a_kill_is_delivered";
        let mut child = child(test, &scratch.folder()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let last = random.random_range(1..200);
        // Not what libtest prints.
        let is_ours = |line: &String| line.starts_with("written ") || line.starts_with("left ");
        let mut seen: Vec<String> = lines.by_ref().filter(is_ours).take(last).collect();
        child.kill().unwrap();
        seen.extend(lines);
        child.wait().unwrap();
        let numbers = |kind: &str| -> BTreeSet<u64> {
            seen.iter().filter_map(|line| line.strip_prefix(kind)?.trim().parse().ok()).collect()
        };
        let (written, left) = (numbers("written "), numbers("left "));
        assert!(!written.is_empty(), "{seen:?}");
        let found: BTreeSet<_> = all_left(&scratch.folder()).into_iter().collect();
        for number in written.difference(&left) {
            assert!(found.contains(&message(*number)), "{number} of round {round}");
        }
        assert!(found.is_subset(&known), "a request that nobody has written");
    }
}

fn write_until_killed(folder: &Path) {
    let spool = spool_of(folder, 1 << 30);
    let mut places = VecDeque::new();
    for number in 0..MOST_WRITTEN {
        let place = append(&spool, [number]).remove(0);
        until("it is written", || place.is_written());
        println!("written {number}");
        places.push_back((number, place));
        if places.len() > 5
            && let Some((number, place)) = places.pop_front()
        {
            println!("left {number}");
            drop(place);
        }
    }
}

#[test]
fn a_full_and_a_read_only_disk_cost_only_the_safety_until_there_is_room() {
    if let Some(folder) = std::env::var_os(IN_CHILD) {
        return on_a_small_disk(Path::new(&folder));
    }
    let (_turn, scratch) = (turn(), Scratch::new());
    let inner = child("a_full_and_a_read_only_disk_cost_only_the_safety_until_there_is_room", &scratch.0);
    let mut outer = Command::new("unshare");
    outer.args(["-rm", "sh", "-c", "mount -t tmpfs -o size=256k tmpfs \"$TESTS_SPOOL\" && exec \"$0\" \"$@\""]);
    outer.arg(inner.get_program()).args(inner.get_args()).env(IN_CHILD, &scratch.0);
    let output = outer.output();
    let Some(output) = output.ok().filter(|output| !String::from_utf8_lossy(&output.stderr).contains("unshare")) else {
        eprintln!("skipped: no user namespaces here");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn on_a_small_disk(disk: &Path) {
    let folder = disk.join("spool");
    let remount = |options: &str| {
        let mounted = Command::new("mount").args(["-o", options]).arg(disk).status().unwrap();
        assert!(mounted.success());
    };
    let spool = spool_of(&folder, 1 << 30);
    let before = at_risk();
    spool.shared.at_risk.add(40);
    let mut places: Vec<_> = (0..20).map(|number| spool.append(request(number, 10_000), 2)).collect();
    until("the disk is full", is_degraded);
    let fit = places.iter().take_while(|place| place.is_written()).count();
    assert!((5..15).contains(&fit), "{fit}");
    assert_eq!(at_risk() - before, i64::try_from(2 * (20 - fit)).unwrap());
    // Marks and deletions need no room.
    drop(places.drain(..fit));
    until("the others are written", || written(&places) || places.iter().any(|place| place.is_written()));
    until("all of them in turn", || {
        let fit = places.iter().take_while(|place| place.is_written()).count();
        fit > 0
    });
    while !places.is_empty() {
        until("the next one is written", || places[0].is_written());
        places.remove(0);
    }
    until("it is not degraded", || !is_degraded());
    assert_eq!(at_risk() - before, 0);
    end(spool);
    assert!(segments(&folder).is_empty());

    remount("remount,ro");
    let spool = spool_of(&folder, 1 << 30);
    let places = append(&spool, [1]);
    until("it is degraded", is_degraded);
    assert!(!written(&places));
    remount("remount,rw");
    until("it is written", || written(&places));
    end(spool);
}
