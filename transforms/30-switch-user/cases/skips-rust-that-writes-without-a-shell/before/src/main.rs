fn main() {
    std::fs::create_dir_all("cache").expect("a folder");
}
