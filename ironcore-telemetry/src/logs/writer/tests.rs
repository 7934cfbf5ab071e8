//! The writer against outputs that stall, fail and take lines in part.

use super::*;
use std::collections::VecDeque;

/// What the output does with one write.
enum Does {
    Takes(usize),
    Fails(io::ErrorKind),
}

/// An output that follows a script, then takes everything; while it is stalled it takes nothing.
#[derive(Default)]
struct Scripted {
    script: Mutex<VecDeque<Does>>,
    taken: Mutex<Vec<u8>>,
    is_stalled: Mutex<bool>,
    goes_on: Condvar,
}

impl Scripted {
    fn of(script: impl IntoIterator<Item = Does>) -> Arc<Self> {
        Arc::new(Self { script: Mutex::new(script.into_iter().collect()), ..Self::default() })
    }

    fn stall(&self, stalled: bool) {
        *self.is_stalled.lock().unwrap() = stalled;
        self.goes_on.notify_all();
    }

    fn text(&self) -> String {
        String::from_utf8(self.taken.lock().unwrap().clone()).unwrap()
    }
}

impl Sink for Arc<Scripted> {
    fn is_ready(&self) -> bool {
        !*self.is_stalled.lock().unwrap()
    }

    fn wait(&self) {
        let stalled = self.is_stalled.lock().unwrap();
        drop(self.goes_on.wait_while(stalled, |stalled| *stalled).unwrap());
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.wait();
        assert!(bytes.len() <= CHUNK);
        let taken = match self.script.lock().unwrap().pop_front() {
            Some(Does::Fails(kind)) => return Err(kind.into()),
            Some(Does::Takes(count)) => count.min(bytes.len()),
            None => bytes.len(),
        };
        self.taken.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }
}

/// The counters belong to the process: the tests take turns.
static TURN: Mutex<()> = Mutex::new(());

struct Scene {
    output: Arc<Scripted>,
    writer: Writer<Arc<Scripted>>,
    before: (u64, u64),
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    fn new(capacity: usize, script: impl IntoIterator<Item = Does>) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let output = Scripted::of(script);
        let writer = Writer::with_capacity(Arc::clone(&output), capacity);
        let before = (writer.0.queue_full.value(), writer.0.io_error.value());
        Self { output, writer, before, _turn: turn }
    }

    fn lines(&self, numbers: std::ops::Range<usize>) {
        numbers.for_each(|number| self.writer.line(format!("line {number}\n").as_bytes(), Level::INFO));
    }

    /// Lines that were lost: the queue was full, the output failed.
    fn lost(&self) -> (u64, u64) {
        let shared = &self.writer.0;
        (shared.queue_full.value() - self.before.0, shared.io_error.value() - self.before.1)
    }

    fn all_written(&self) {
        assert!(self.writer.flush(Duration::from_secs(60)));
    }
}

fn text(numbers: std::ops::Range<usize>) -> String {
    numbers.fold(String::new(), |text, number| text + &format!("line {number}\n"))
}

#[test]
fn a_line_is_out_before_the_call_returns() {
    let scene = Scene::new(CAPACITY, []);
    for number in 0..3 {
        scene.lines(number..number + 1);
        assert_eq!(scene.output.text(), text(0..number + 1));
    }
}

#[test]
fn while_the_output_is_stalled_callers_return_and_afterwards_every_line_is_there_in_order() {
    let scene = Scene::new(CAPACITY, []);
    scene.output.stall(true);
    // Returns, though nothing is written.
    scene.lines(0..10_000);
    assert_eq!(scene.output.text(), "");
    assert!(!scene.writer.flush(Duration::from_millis(5)));
    scene.output.stall(false);
    scene.all_written();
    assert_eq!(scene.output.text(), text(0..10_000));
    scene.lines(10_000..10_001);
    scene.all_written();
    assert_eq!(scene.output.text(), text(0..10_001));
    assert_eq!(scene.lost(), (0, 0));
}

#[test]
fn a_full_queue_drops_lines_below_warn_first_and_counts_each() {
    let scene = Scene::new(4_000, []);
    scene.output.stall(true);
    scene.lines(0..1_000);
    let (dropped, _) = scene.lost();
    assert!(dropped > 500, "{dropped}");
    scene.writer.line(b"warning\n", Level::WARN);
    scene.writer.line(b"error\n", Level::ERROR);
    assert_eq!(scene.lost(), (dropped, 0));
    let long = [b'x'; 4_000];
    scene.writer.line(&long, Level::ERROR);
    assert_eq!(scene.lost(), (dropped + 1, 0));
    scene.output.stall(false);
    scene.all_written();
    let kept = 1_000 - usize::try_from(dropped).unwrap();
    assert_eq!(scene.output.text(), text(0..kept) + "warning\nerror\n");
}

#[test]
fn a_line_that_is_taken_in_parts_stays_whole() {
    let parts = [
        Does::Takes(3),
        Does::Fails(io::ErrorKind::WouldBlock),
        Does::Takes(1),
        Does::Fails(io::ErrorKind::Interrupted),
    ];
    let scene = Scene::new(CAPACITY, parts);
    scene.lines(0..5);
    scene.all_written();
    assert_eq!(scene.output.text(), text(0..5));
    assert_eq!(scene.lost(), (0, 0));
}

#[test]
fn after_an_error_in_the_middle_of_a_line_the_next_line_is_whole() {
    let full = || Does::Fails(io::ErrorKind::StorageFull);
    let scene = Scene::new(CAPACITY, [Does::Takes(4), full(), full(), full()]);
    // The first is written in part, the next two fail as a whole.
    scene.lines(0..3);
    assert_eq!(scene.lost(), (0, 3));
    scene.lines(3..5);
    assert_eq!(scene.output.text(), "line\nline 3\nline 4\n");
    assert_eq!(scene.lost(), (0, 3));
}

#[test]
fn a_broken_output_costs_lines_and_nothing_else() {
    let scene = Scene::new(CAPACITY, (0..100).map(|_| Does::Fails(io::ErrorKind::BrokenPipe)));
    scene.lines(0..100);
    assert_eq!((scene.output.text().as_str(), scene.lost()), ("", (0, 100)));
}

#[test]
fn lines_of_many_threads_do_not_mix_and_none_is_left_behind() {
    let scene = Scene::new(CAPACITY, []);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (writer, output) = (&scene.writer, &scene.output);
            scope.spawn(move || {
                for number in 0..500 {
                    if number % 100 == thread {
                        output.stall(true);
                        output.stall(false);
                    }
                    writer.line(format!("{thread} {number}\n").as_bytes(), Level::INFO);
                }
            });
        }
    });
    scene.all_written();
    let text = scene.output.text();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let mut expected: Vec<_> =
        (0..8).flat_map(|thread| (0..500).map(move |number| format!("{thread} {number}"))).collect();
    expected.sort_unstable();
    assert_eq!(lines, expected);
    assert_eq!(scene.lost(), (0, 0));
}
