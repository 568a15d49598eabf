#[derive(rust_embed::RustEmbed)]
#[folder = "pages/"]
struct Pages;

static SCRIPTS: include_dir::Dir = include_dir::include_dir!("$CARGO_MANIFEST_DIR/scripts");

fn main() {
    println!("{}", Pages::iter().count());
}
