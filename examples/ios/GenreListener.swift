import AVFoundation

/// Listens to the microphone and calls back each second, on the main queue.
final class GenreListener {
    private let audio = AVAudioEngine()
    private let work = DispatchQueue(label: "edgegenre")  // the C listener is used by one thread at a time

    func start(_ heard: @escaping (String) -> Void) throws {
        let session = AVAudioSession.sharedInstance()
        try session.setCategory(.record, mode: .measurement)  // no gain control, no noise suppression
        try session.setActive(true)
        let format = audio.inputNode.outputFormat(forBus: 0)
        if let problem = genre_listener_start(UInt32(format.sampleRate)) {
            throw NSError(domain: String(cString: problem), code: 1)
        }
        audio.inputNode.installTap(onBus: 0, bufferSize: 4096, format: format) { [work] buffer, _ in
            let samples = Array(UnsafeBufferPointer(start: buffer.floatChannelData![0], count: Int(buffer.frameLength)))
            work.async {
                guard genre_listener_push(samples, samples.count) > 0, let answer = genre_listener_answer() else { return }
                let genre = String(cString: answer)
                DispatchQueue.main.async { heard(genre) }
            }
        }
        try audio.start()
    }

    func stop() {
        audio.inputNode.removeTap(onBus: 0)
        audio.stop()
    }
}
