fn main() {
    shop::open("notes.db");
}
