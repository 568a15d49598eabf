//! How fast a tree with nothing to change is looked at, and how much of that is the YAML parser underneath.
//!
//! `cargo bench`. The tree is 5,000 manifests and 1,000 Dockerfiles, the same on every machine. `UNROOT_BENCH_TREE=<directory>` writes it there and keeps
//! it, for measuring the program itself: `/usr/bin/time -v unroot --check --offline <directory>`.
#![allow(clippy::unwrap_used, reason = "here a failed step should end the run")]
#![allow(clippy::disallowed_methods, reason = "the tree is written to a directory of its own")]

mod tree;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use std::path::PathBuf;
use std::sync::OnceLock;
use tree::{DOCKERFILES, MANIFESTS};
use unroot::config::Config;
use unroot::discover::Tree;
use unroot::pipeline::{self, Options};
use unroot::registry::Offline;
use unroot::repository::Repository;
use yaml_rust2::parser::{Event, MarkedEventReceiver, Parser};
use yaml_rust2::scanner::Marker;

static TREE: OnceLock<PathBuf> = OnceLock::new();

fn main() {
    let temporary = tempfile::tempdir().unwrap();
    let root = std::env::var_os("UNROOT_BENCH_TREE").map_or_else(|| temporary.path().join("tree"), PathBuf::from);
    tree::write(&root);
    TREE.get_or_init(|| root);
    divan::main();
}

/// The floor: events of the parser underneath, thrown away.
#[divan::bench(sample_count = 20)]
fn yaml_events_only(bencher: Bencher<'_, '_>) {
    let texts: Vec<String> = (0..MANIFESTS).map(tree::manifest).collect();
    bencher.counter(size(&texts)).counter(files(&texts)).bench_local(|| {
        for text in &texts {
            Parser::new_from_str(text).load(&mut Sink, true).unwrap();
        }
    });
}

/// Events, token cover and node tree.
#[divan::bench(sample_count = 20)]
fn yaml_parse(bencher: Bencher<'_, '_>) {
    let texts: Vec<String> = (0..MANIFESTS).map(tree::manifest).collect();
    bencher.counter(size(&texts)).counter(files(&texts)).bench_local(|| {
        for text in &texts {
            black_box(unroot::yaml::parse(text.as_str()).unwrap());
        }
    });
}

#[divan::bench(sample_count = 20)]
fn dockerfile_parse(bencher: Bencher<'_, '_>) {
    let texts: Vec<String> = (0..DOCKERFILES).map(tree::dockerfile).collect();
    bencher.counter(size(&texts)).counter(files(&texts)).bench_local(|| {
        for text in &texts {
            black_box(unroot::dockerfile::parse(text.as_str()).unwrap());
        }
    });
}

/// Walking, reading, parsing, linking, facts, and every transform's plan. 0 threads are as many as there are cores.
#[divan::bench(args = [1, 0], sample_count = 20)]
fn check(bencher: Bencher<'_, '_>, threads: usize) {
    let texts: Vec<String> = (0..MANIFESTS).map(tree::manifest).chain((0..DOCKERFILES).map(tree::dockerfile)).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    bencher.counter(size(&texts)).counter(files(&texts)).bench_local(|| {
        let run = pool.install(|| {
            let tree = Tree::discover(std::slice::from_ref(TREE.get().unwrap()), &[]).unwrap();
            pipeline::run(
                Repository::parse(tree, &Config::default()),
                &Config::default(),
                &Options::default(),
                &Offline,
            )
            .unwrap()
        });
        assert!(
            run.files.is_empty() && run.dockerfiles == DOCKERFILES && run.manifests == MANIFESTS,
            "{:?}",
            run.files
        );
    });
}

fn size(texts: &[String]) -> BytesCount {
    BytesCount::new(texts.iter().map(String::len).sum::<usize>())
}

fn files(texts: &[String]) -> ItemsCount {
    ItemsCount::new(texts.len())
}

struct Sink;

impl MarkedEventReceiver for Sink {
    fn on_event(&mut self, event: Event, _mark: Marker) {
        black_box(event);
    }
}
