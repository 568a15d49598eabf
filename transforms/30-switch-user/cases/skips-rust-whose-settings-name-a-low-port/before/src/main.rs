fn main() {
    shop::serve();
}
