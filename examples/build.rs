//! Makes the client and the server of the gRPC service in `tonic_swap.rs`. With a `.proto` file it would be
//! `tonic_prost_build::compile_protos`.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let execute = Method::builder()
        .name("execute")
        .route_name("Execute")
        .input_type("crate::ExecuteRequest")
        .output_type("crate::ExecuteReply")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let swap = Service::builder().name("Swap").package("ironcore.swap.v1").method(execute).build();
    Builder::new().compile(&[swap]);
    println!("cargo::rerun-if-changed=build.rs");
}
