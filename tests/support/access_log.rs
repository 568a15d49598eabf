//! What servers wrote down of the requests that they answered.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The lines of `log` that hold `text`. Servers write a line after they answered, so this waits for `expected` of them and then
/// a little longer, to see those that are too many.
pub(crate) fn lines(log: &Path, text: &str, expected: usize) -> Vec<String> {
    let lines = || -> Vec<String> {
        let all = std::fs::read_to_string(log).unwrap();
        all.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    while lines().len() < expected && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_millis(100));
    lines()
}
