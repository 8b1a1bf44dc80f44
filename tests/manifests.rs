//! The files in packaging/ and config/examples: each is what its reader takes, and all of them fit each other.
//!
//! What a schema can know is left to schemas: Kubernetes' own, and reduced ones of Cilium's and Talos' documents in
//! tests/manifests. What it cannot know is a law here, mostly that a value is the one in the configuration.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "manifests/beside.rs"]
mod beside;
mod common;
#[path = "manifests/edge.rs"]
mod edge;
#[path = "manifests/examples.rs"]
mod examples;
#[path = "manifests/kubernetes.rs"]
mod kubernetes;
#[path = "manifests/marks.rs"]
mod marks;
#[path = "manifests/terraform.rs"]
mod terraform;
#[path = "manifests/tools.rs"]
mod tools;
