#![no_main]

/// One line is the one header; of several each is the next of the four.
const NAMES: [&str; 4] = ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if data.contains(&b'\n') {
        fuzz::come_in(NAMES.into_iter().zip(fuzz::lines(data)));
    } else {
        fuzz::come_in(fuzz::lines(data).map(|line| ("b3", line)));
    }
});
