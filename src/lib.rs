//! `unroot` rewrites Dockerfiles and Kubernetes manifests together until the containers no longer run as root, and still start.
//!
//! # The data flow
//!
//! One path, the same for every mode; each room uses only what stands before it.
//!
//! 1. [`cli`] reads the arguments and [`config`] the repository's `unroot.toml`, which may add to what [`image`] knows: references, and a table of
//!    well-known images.
//! 2. [`discover`] walks the tree and keeps what is worth a parse.
//! 3. [`dockerfile`] and [`yaml`] parse without losing a byte; [`kubernetes`] finds workloads in the YAML. [`repository`] holds the parsed files.
//!    Both engines turn *operations*, which name things in words, into *edits*, which are byte spans, and can prove that a result is what was meant.
//! 4. [`link`] joins containers to the Dockerfiles that build their images; doubt is a value.
//! 5. [`facts`] says what is known about each application and how: user, ports, directories, language, and what speaks against leaving root.
//!    [`registry`] turns tags into digests, tells what images say of themselves, and is the only asynchronous code.
//! 6. [`transforms`] is the ordered list of what is done; a transform looks at facts and proposes a [`change`], or declines with a reason.
//!    [`suppression`] lets an author decline in a comment; nobody is asked about what is to be left.
//! 7. [`pipeline`] runs them: plan, apply in memory, parse again, [`verify`], record.
//! 8. [`prove`] starts what came out, under its settings, with the container engine of the user, where that is asked for.
//! 9. [`report`] shows the result, or [`write`](mod@write) writes it: the diff a reviewer saw is what lands on disk.
//!
//! [`source`], [`edit`] and [`error`] are the vocabulary that all rooms share.

pub mod source;

pub mod edit;
pub mod error;

pub mod image;

pub mod cli;
pub mod config;
pub mod discover;

pub mod dockerfile;
pub mod yaml;

pub mod kubernetes;
pub mod repository;

pub mod levels;

pub mod link;

pub mod facts;
pub mod registry;

pub mod change;
pub mod suppression;
#[path = "../transforms/mod.rs"]
pub mod transforms;

pub mod pipeline;
pub mod verify;

pub mod prove;

pub mod report;
pub mod write;
