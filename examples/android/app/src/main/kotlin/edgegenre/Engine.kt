package edgegenre

import java.nio.ByteBuffer

/** An answer: a genre, "silence", "noise" or "uncertain", and the probability of each genre. */
class Answer(val label: String, val probabilities: Map<String, Double>)

/**
 * The C front-end and engine. [tables] and [net] are direct buffers of `mel.blob` and `net.eg`, [rateHz] is that of the
 * samples. [music] is `top_db` of `bundle.json`, then `rows` and `bias` of its `music_detector` and its `noise_detector`.
 * One thread at a time.
 */
class Engine(
    private val tables: ByteBuffer,
    private val net: ByteBuffer,
    rateHz: Int,
    private val labels: List<String>,
    private val uncertainBelow: Double,
    private val music: DoubleArray
) {
    private val state = ByteBuffer.allocateDirect(4 shl 20)
    private val facts = FloatArray(4)
    private val logits = ByteArray(checked(load(state, tables, net, rateHz, facts)))
    private val smoothed = DoubleArray(logits.size)
    private val everyFrames = Math.max(Math.round(facts[3]), 1)
    private var frames = 0
    private var isFirst = true

    init {
        require(labels.size == logits.size) { "the network has ${logits.size} classes, there are ${labels.size} labels" }
    }

    /** Take [n] samples; an answer each second, null in between. */
    fun push(pcm: ShortArray, n: Int): Answer? {
        frames += checked(push(state, pcm, n))
        if (frames < everyFrames) return null
        frames %= everyFrames
        return answer()
    }

    /** The answer for the newest window, smoothed over five seconds. */
    fun answer(): Answer {
        val heard = checked(answer(state, music, logits))
        if (heard != LOGITS) {
            isFirst = true
            return Answer(if (heard == SILENCE) "silence" else "noise", emptyMap())
        }
        val largest = logits.fold(-128) { most, logit -> Math.max(most, logit.toInt()) }
        val powers = logits.map { Math.exp((it - largest) * facts[0].toDouble()) }
        val sum = powers.sum()
        val decay = if (isFirst) 0.0 else Math.exp(-everyFrames / facts[3] / SMOOTH_S)
        isFirst = false
        for (i in smoothed.indices) smoothed[i] = decay * smoothed[i] + (1 - decay) * powers[i] / sum
        val best = smoothed.indices.reduce { a, b -> if (smoothed[b] > smoothed[a]) b else a }
        val label = if (smoothed[best] < uncertainBelow) "uncertain" else labels[best]
        return Answer(label, labels.zip(smoothed.toList()).toMap())
    }

    /** The int8 logits of the last answer. */
    fun lastLogits(): ByteArray = logits.copyOf()

    private fun checked(returned: Int): Int {
        check(returned >= 0) { sentence(returned) }
        return returned
    }

    private external fun load(state: ByteBuffer, tables: ByteBuffer, net: ByteBuffer, rateHz: Int, facts: FloatArray): Int
    private external fun push(state: ByteBuffer, pcm: ShortArray, n: Int): Int
    private external fun answer(state: ByteBuffer, music: DoubleArray, logits: ByteArray): Int
    private external fun sentence(returned: Int): String

    companion object {
        private const val SMOOTH_S = 5.0
        private const val SILENCE = 0
        private const val LOGITS = 1

        init {
            System.loadLibrary("edgegenre_jni")
        }
    }
}
