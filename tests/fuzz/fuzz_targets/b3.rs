#![no_main]

/// A single line is the value of `b3`; several lines are the values of these headers, in this order.
const NAMES: [&str; 4] = ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if data.contains(&b'\n') {
        fuzz::check(NAMES.into_iter().zip(fuzz::lines(data)));
    } else {
        fuzz::check(fuzz::lines(data).map(|line| ("b3", line)));
    }
});
