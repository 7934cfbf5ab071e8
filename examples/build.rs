//! Generates the gRPC client and server of `tonic_swap` from Rust, in place of the `.proto` file that
//! `tonic_swap/proto.rs` shows, so that the examples build without `protoc`.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let execute = Method::builder()
        .name("execute")
        .route_name("Execute")
        .input_type("crate::proto::ExecuteRequest")
        .output_type("crate::proto::ExecuteReply")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let swap = Service::builder().name("Swap").package("ironcore.swap.v1").method(execute).build();
    Builder::new().compile(&[swap]);
    println!("cargo::rerun-if-changed=build.rs");
}
