fn main() {
    let _ = std::fs::read("greeting.txt");
}
