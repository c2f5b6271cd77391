// Golden PCM through Engine.kt and the JNI library: prints the answers to its first second and to all of it, and the logits.
// Arguments: mel.blob, net.eg, pcm, rate, classes, numbers of the detectors of music.
package edgegenre

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

private fun direct(name: String): ByteBuffer {
    val bytes = File(name).readBytes()
    val buffer = ByteBuffer.allocateDirect(bytes.size)
    buffer.put(bytes)
    return buffer
}

fun main(arguments: Array<String>) {
    val (mel, net, pcm, rate, classes) = arguments
    val samples = ByteBuffer.wrap(File(pcm).readBytes()).order(ByteOrder.LITTLE_ENDIAN).asShortBuffer()
    val all = ShortArray(samples.remaining())
    samples.get(all)
    val music = File(arguments[5]).readText().split(" ").map { it.toDouble() }.toDoubleArray()
    fun engine() = Engine(direct(mel), direct(net), rate.toInt(), List(classes.toInt()) { "genre $it" }, 0.0, music)
    println(engine().push(all, rate.toInt() + 4096)?.label)
    val engine = engine()
    engine.push(all, all.size)
    println(engine.answer().label)
    println(engine.lastLogits().joinToString(","))
    try {
        Engine(direct(pcm), direct(net), rate.toInt(), emptyList(), 0.0, music)
    } catch (error: IllegalStateException) {
        println(error.message)
    }
}
