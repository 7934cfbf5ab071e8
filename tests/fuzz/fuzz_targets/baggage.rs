#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::check(fuzz::lines(data).map(|line| ("baggage", line)));
});
