fun main() {
    embeddedServer(Netty, port = System.getenv("PORT")?.toInt() ?: 80) { }.start(wait = true)
}
