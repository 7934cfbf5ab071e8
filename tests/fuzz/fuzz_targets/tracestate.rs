#![no_main]

use http::HeaderValue;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let parent = ("traceparent", HeaderValue::from_static(fuzz::PARENT));
    let state = fuzz::lines(data).map(|line| ("tracestate", line));
    fuzz::check([parent].into_iter().chain(state));
});
