#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::come_in(fuzz::lines(data).map(|line| ("baggage", line)));
});
