package edgegenre

import android.Manifest
import android.app.Activity
import android.content.pm.PackageManager
import android.os.Bundle
import android.widget.TextView
import java.nio.ByteBuffer
import org.json.JSONObject

/** One text: the genre and the three most probable ones. Listens while it is on the screen. */
class MainActivity : Activity() {
    private lateinit var text: TextView
    private var microphone: Microphone? = null

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        text = TextView(this)
        text.textSize = 32f
        setContentView(text)
    }

    override fun onResume() {
        super.onResume()
        if (checkSelfPermission(Manifest.permission.RECORD_AUDIO) == PackageManager.PERMISSION_GRANTED) listen()
        else requestPermissions(arrayOf(Manifest.permission.RECORD_AUDIO), 0)
    }

    override fun onRequestPermissionsResult(code: Int, names: Array<String>, results: IntArray) {
        if (results.isEmpty() || results[0] != PackageManager.PERMISSION_GRANTED) show("The microphone was not allowed")
    }

    override fun onPause() {
        microphone?.stop()
        microphone = null
        super.onPause()
    }

    private fun listen() {
        val about = JSONObject(String(asset("bundle.json"), Charsets.UTF_8))
        val names = about.getJSONArray("labels")
        val labels = List(names.length()) { names.getString(it) }
        val engine = Engine(
            direct("mel.blob"), direct("net.eg"), Microphone.RATE_HZ, labels, about.getDouble("uncertain_below"),
            doubleArrayOf(about.getDouble("top_db")) + detector(about, "music_detector") + detector(about, "noise_detector")
        )
        microphone = Microphone({ pcm, n -> engine.push(pcm, n)?.let { show(described(it)) } }, { show(it) })
        microphone?.start()
    }

    private fun detector(about: JSONObject, name: String): DoubleArray {
        val rows = about.getJSONObject(name).getJSONArray("rows")
        val numbers = List(rows.length()) { rows.getJSONArray(it) }.flatMap { row -> List(row.length()) { row.getDouble(it) } }
        return numbers.toDoubleArray() + about.getJSONObject(name).getDouble("bias")
    }

    private fun described(answer: Answer): String {
        val best = answer.probabilities.entries.sortedByDescending { it.value }.take(3)
        return answer.label + best.joinToString("") { "\n${it.key} ${Math.round(100 * it.value)} %" }
    }

    private fun show(line: String) = runOnUiThread { text.text = line }

    private fun asset(name: String): ByteArray = assets.open(name).use { it.readBytes() }

    private fun direct(name: String): ByteBuffer {
        val bytes = asset(name)
        val buffer = ByteBuffer.allocateDirect(bytes.size)
        buffer.put(bytes)
        return buffer
    }
}
