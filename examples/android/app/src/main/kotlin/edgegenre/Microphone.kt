package edgegenre

import android.media.AudioFormat
import android.media.AudioRecord
import android.media.MediaRecorder

/** Reads the microphone at 48 kHz, unprocessed where the phone can, in a thread of its own. */
class Microphone(private val onSamples: (ShortArray, Int) -> Unit, private val onEnd: (String) -> Unit) {
    @Volatile private var isRunning = true
    private val thread = Thread({ listen() }, "edgegenre")

    fun start() = thread.start()

    fun stop() {
        isRunning = false
        thread.join()
    }

    private fun open(): AudioRecord? {
        val least = AudioRecord.getMinBufferSize(RATE_HZ, AudioFormat.CHANNEL_IN_MONO, AudioFormat.ENCODING_PCM_16BIT)
        for (source in listOf(MediaRecorder.AudioSource.UNPROCESSED, MediaRecorder.AudioSource.VOICE_RECOGNITION)) {
            val record = AudioRecord(
                source, RATE_HZ, AudioFormat.CHANNEL_IN_MONO, AudioFormat.ENCODING_PCM_16BIT, Math.max(least, RATE_HZ * 2)
            )
            if (record.state == AudioRecord.STATE_INITIALIZED) return record
            record.release()
        }
        return null
    }

    private fun listen() {
        val record = open()
        if (record == null) {
            onEnd("the microphone cannot be opened")
            return
        }
        try {
            record.startRecording()
            val pcm = ShortArray(RATE_HZ / 10)
            while (isRunning) {
                val n = record.read(pcm, 0, pcm.size)
                if (n < 0) {
                    onEnd("the microphone failed ($n)")
                    return
                }
                onSamples(pcm, n)
            }
        } finally {
            record.release()
        }
    }

    companion object {
        const val RATE_HZ = 48000
    }
}
