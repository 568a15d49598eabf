const PAGE: &str = include_str!("../page.html");

fn main() {
    println!("{PAGE}");
}
