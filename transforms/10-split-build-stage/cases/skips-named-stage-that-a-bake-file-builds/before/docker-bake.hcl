target "default" {
  target = "app"
}
